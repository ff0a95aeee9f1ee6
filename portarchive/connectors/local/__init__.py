"""What connectors to files on this machine have in common. No connector, and no protocol."""
