"""IMAP accounts as source and target (RFC 3501, RFC 9051). ``session`` alone knows imapclient."""

from portarchive.connectors.imap.settings import ImapSettings, Secret
from portarchive.connectors.imap.source import ImapSource, open_source
from portarchive.connectors.imap.target import ImapTarget, open_target

__all__ = ["ImapSettings", "ImapSource", "ImapTarget", "Secret", "open_source", "open_target"]
