"""JMAP (RFC 8620, RFC 8621) as a connector: ``session`` speaks it, ``source`` reads an account."""

from portarchive.connectors.jmap.settings import JmapSettings
from portarchive.connectors.jmap.source import JmapSource, open_source

__all__ = ["JmapSettings", "JmapSource", "open_source"]
