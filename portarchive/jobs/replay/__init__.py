"""Replay: an archive is placed on a target, once and completely.

``run.run_import`` is the way in. The order of things: folders are mapped (``folders``), messages
are matched with what is there (``match``), the rest is placed (``deliver``) and read back
(``verify``); ``ledger`` only makes the next run faster.
"""
