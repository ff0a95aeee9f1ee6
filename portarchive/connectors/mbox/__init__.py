"""mbox files (``mbox:PATH``): one file or a tree of them, and Google Takeout with its labels."""

from portarchive.connectors.mbox.source import MboxSource, open_source

__all__ = ["MboxSource", "open_source"]
