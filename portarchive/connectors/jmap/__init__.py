"""JMAP (RFC 8620, RFC 8621) as a connector: ``session`` speaks it, ``source`` reads an account."""
