"""portarchive: export, check and move mailboxes in the Personal Data Portability Archive format."""

__version__ = "0.1.0"
