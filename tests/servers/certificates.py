"""A certificate authority for one test server."""

from __future__ import annotations

from pathlib import Path

import trustme


def issue(directory: Path, *names: str) -> Path:
    """Write ``cert.pem`` and ``key.pem`` for these names; returns the authority's ``ca.pem``."""
    authority = trustme.CA()
    issued = authority.issue_cert(*(names or ("localhost", "127.0.0.1")))
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    issued.private_key_pem.write_to_path(str(directory / "key.pem"))
    for number, pem in enumerate(issued.cert_chain_pems):
        pem.write_to_path(str(directory / "cert.pem"), append=number > 0)
    return directory / "ca.pem"
