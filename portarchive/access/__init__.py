"""Access: how one gets in. URLs and secrets; no connection is made here."""
