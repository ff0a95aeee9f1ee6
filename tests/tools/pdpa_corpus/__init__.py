"""The public corpus as code: small archives, one thing wrong in each, and what must be found."""
