"""Jobs: what a verb does, from beginning to end. They see ``connectors.base`` and no protocol."""
