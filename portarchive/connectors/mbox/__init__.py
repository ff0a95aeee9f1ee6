"""mbox files (``mbox:PATH``): one file or a tree of them, and Google Takeout with its labels."""

from portarchive.connectors.mbox.source import MboxSource, open_source
from portarchive.connectors.mbox.target import MboxTarget, open_target

__all__ = ["MboxSource", "MboxTarget", "open_source", "open_target"]
