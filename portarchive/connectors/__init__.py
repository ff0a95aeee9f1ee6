"""Connectors: how mail is reached. Jobs see ``connectors.base`` only."""
