"""Maildir trees (``maildir:PATH``): Maildir++ and directory layout, and what Dovecot adds."""

from portarchive.connectors.maildir.source import MaildirSource, open_source
from portarchive.connectors.maildir.target import MaildirTarget, open_target

__all__ = ["MaildirSource", "MaildirTarget", "open_source", "open_target"]
