"""Found on PYTHONPATH by a real ``python -m portarchive``: lets one of its calls kill it.

``CRASH_AT`` is the number of the call (0: none), ``CRASH_HOW`` what happens there, ``CRASH_LOG``
the file that gets one line a call, ``CRASH_BATCH`` the messages of a batch, ``CRASH_SCRIBE`` after
how many messages a second process writes the files.
"""

import os
import sys
from pathlib import Path

if "CRASH_AT" in os.environ and not sys.flags.isolated:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from counted_calls import Calls

    from portarchive.archive import batch, writer

    assert batch.MESSAGES > 0
    assert writer.SCRIBE_AFTER > 0
    batch.MESSAGES = int(os.environ["CRASH_BATCH"])
    writer.SCRIBE_AFTER = int(os.environ["CRASH_SCRIBE"])
    _log = os.open(os.environ["CRASH_LOG"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    _write = os.write
    _root = os.environ["CRASH_ROOT"]

    def _tell(name: str, path: str) -> None:
        _write(_log, f"{name} {path}\n".encode())

    Calls(int(os.environ["CRASH_AT"]), os.environ["CRASH_HOW"], _tell, under=_root).install()
