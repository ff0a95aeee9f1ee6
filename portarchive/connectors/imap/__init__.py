"""IMAP accounts as a source (RFC 3501, RFC 9051). ``session`` alone knows imapclient."""

from portarchive.connectors.imap.settings import ImapSettings, Secret
from portarchive.connectors.imap.source import ImapSource, open_source

__all__ = ["ImapSettings", "ImapSource", "Secret", "open_source"]
