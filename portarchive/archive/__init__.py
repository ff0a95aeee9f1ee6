"""THE FORMAT: how an archive lies on disk. No network, no terminal."""
