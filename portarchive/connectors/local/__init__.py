"""What sources and targets that are files on this machine have in common. No connector, and no protocol."""
