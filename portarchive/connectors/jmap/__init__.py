"""JMAP (RFC 8620, RFC 8621) as a connector: ``session`` speaks it, ``source`` and ``target``."""

from portarchive.connectors.jmap.settings import JmapSettings
from portarchive.connectors.jmap.source import JmapSource, open_source
from portarchive.connectors.jmap.target import JmapTarget, open_target

__all__ = ["JmapSettings", "JmapSource", "JmapTarget", "open_source", "open_target"]
