"""A part that was signed once, and its signature: neither may change by an octet.

The signature is a detached CMS object (RFC 8551) over ``AGREEMENT`` without its last CRLF, made
with an EC key for registrar@museum.example.org that was thrown away afterwards.
"""

from __future__ import annotations

import base64

from compose import text

AGREEMENT = text(
    """
    The Museum of Sound lends to Lindqvist & Ferreira, from 1 December 2026 to
    31 March 2027, for measuring:

      one (1) clavichord, unfretted, 1784, inventory number 114,
      one (1) tuning hammer, which it is believed to miss when they are parted.

    The borrower keeps both between 16 and 20 degrees, away from radiators, sun,
    and school classes. The clavichord may be played, softly. It cannot be played
    otherwise.

    For the Museum: D. Achterberg, Registrar
    """
)
SIGNATURE = base64.b64decode(
    """
    MIIDtAYJKoZIhvcNAQcCoIIDpTCCA6ECAQExDTALBglghkgBZQMEAgEwCwYJKoZIhvcNAQcBoIIC
    MTCCAi0wggHToAMCAQICFCsLyYc1ourA1Kvafolvc+PTlBTGMAoGCCqGSM49BAMCMFsxGDAWBgNV
    BAoMD011c2V1bSBvZiBTb3VuZDESMBAGA1UEAwwJUmVnaXN0cmFyMSswKQYJKoZIhvcNAQkBFhxy
    ZWdpc3RyYXJAbXVzZXVtLmV4YW1wbGUub3JnMB4XDTI2MTEyNDA3MjU1MVoXDTQ2MTExOTA3MjU1
    MVowWzEYMBYGA1UECgwPTXVzZXVtIG9mIFNvdW5kMRIwEAYDVQQDDAlSZWdpc3RyYXIxKzApBgkq
    hkiG9w0BCQEWHHJlZ2lzdHJhckBtdXNldW0uZXhhbXBsZS5vcmcwWTATBgcqhkjOPQIBBggqhkjO
    PQMBBwNCAAQkOt9X/Zxa0cEDQwPtlqxLYY6g69VRy5FI9hgjlRolq2HJJHQv02ku0lLENshBqI61
    eNFgJSVaF0wByiCRl/r8o3UwczAdBgNVHQ4EFgQUkvIwBI/I5ekcYUCvHi6Sc/KfswAwHwYDVR0j
    BBgwFoAUkvIwBI/I5ekcYUCvHi6Sc/KfswAwDwYDVR0TAQH/BAUwAwEB/zALBgNVHQ8EBAMCB4Aw
    EwYDVR0lBAwwCgYIKwYBBQUHAwQwCgYIKoZIzj0EAwIDSAAwRQIgJghnO00RO2UiwVWTtoiFrrnf
    ewKQkH07Fk5aPmbiErECIQCaZ+OTBA28uASDqpwa7iNMHGeQqufl2vS/cUmGVbLQIzGCAUkwggFF
    AgEBMHMwWzEYMBYGA1UECgwPTXVzZXVtIG9mIFNvdW5kMRIwEAYDVQQDDAlSZWdpc3RyYXIxKzAp
    BgkqhkiG9w0BCQEWHHJlZ2lzdHJhckBtdXNldW0uZXhhbXBsZS5vcmcCFCsLyYc1ourA1Kvafolv
    c+PTlBTGMAsGCWCGSAFlAwQCAaBpMBgGCSqGSIb3DQEJAzELBgkqhkiG9w0BBwEwHAYJKoZIhvcN
    AQkFMQ8XDTI2MTEyNDA3MjU1MVowLwYJKoZIhvcNAQkEMSIEIPJZj+k3wKNc1/r7LznpObVzg9HX
    TBgXirKh/U6K4Z9DMAoGCCqGSM49BAMCBEcwRQIgDQJN0hBqOWvUug1EEuBYh9izZ+GUM3kkIKb9
    Beq3MksCIQDcBByy3kH3GA3MlMbVT6qIVcDPGYC5PMdgWReRQfXqBw==
    """
)
