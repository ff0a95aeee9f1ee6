"""The index: tables made of an archive, to be asked. Derived, and never needed for correctness.

Owns ``index/``: how messages are looked at, what the tables are, how they are brought up to date.
It refuses to write anything else of an archive, to fetch anything that a message names, and to
judge: what a header says is data, and what is wrong with it is a value in ``defects``.

``build`` makes them, ``place`` says where they lie, ``columns`` what is in them (docs/index.md).
"""
