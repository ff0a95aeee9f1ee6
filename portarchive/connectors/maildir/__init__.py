"""Maildir trees (``maildir:PATH``): Maildir++ and directory layout, and what Dovecot adds."""

from portarchive.connectors.maildir.source import MaildirSource, open_source

__all__ = ["MaildirSource", "open_source"]
