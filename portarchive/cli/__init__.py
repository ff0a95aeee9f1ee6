"""The command line: parse, make options, run one job, render.

``main`` is the one place that turns errors into words and exit codes. Imports are lazy, so that
``portarchive --help`` stays quick.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import itertools
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Final, TextIO

from portarchive.errors import ExitCode, PortArchiveError, StorageFailed

_GARBAGE: Final = 10_000
"""Objects that are made before Python looks for circles among them, in place of its 700: messages
leave none behind, and to look for them takes a tenth of an import."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Raises nothing.

    Args:
        arguments: without the program's name; None for those of the process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        gc.set_threshold(_GARBAGE)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us: nothing to tell it
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    with contextlib.suppress(ValueError):  # not the main thread: then signals are another's
        signal.signal(signal.SIGTERM, _terminated)
    try:
        code = _run(words)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001  everything ends here, as a code
        if arguments is None:
            _ends()
        code = _explain(error, words)
    if arguments is None:
        _ends()
    return code


def _ends() -> None:
    """The process is at its end: Ctrl-C once more would but be a traceback out of the interpreter.

    SIGTERM ends it at once, whatever it still waits for. What goes with the process is not looked
    through for circles before.
    """
    gc.freeze()
    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _run(words: list[str]) -> int:
    from portarchive.cli.verbs import program  # noqa: PLC0415  start-up time

    command = program()
    # Not ``command.main``: that one exits by itself, with codes that are not ours.
    with command.make_context("portarchive", words) as context:
        return int(command.invoke(context) or 0)


def _terminated(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


def _explain(error: BaseException, words: list[str]) -> int:
    """Say what happened on stderr, and return the exit code."""
    import typer  # noqa: PLC0415  start-up time

    usage_error = typer.BadParameter.__mro__[1]  # UsageError, from wherever typer has it
    if isinstance(error, typer.Exit):
        return int(error.exit_code)
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(ExitCode.BUG)
    if isinstance(error, BrokenPipeError):
        # The reader has what it wanted (``portarchive ls mail | head``).
        _silence(sys.stdout)
        return int(ExitCode.OK)
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        _say(
            words,
            code="interrupted",
            text="interrupted",
            hint="the same command again goes on where this one stopped",
        )
        return int(ExitCode.INTERRUPTED)
    if isinstance(error, usage_error):
        _say(words, code="usage", text=usage_text(error), hint=_usage_hint(error))
        return int(ExitCode.USAGE)
    failure = failure_of(error)
    _say(words, code=failure.code, text=failure.text, hint=failure.hint)
    return int(failure.exit_code)


def failure_of(error: BaseException) -> PortArchiveError:
    """What to say of an error, always with the next step; a bug's traceback goes to stderr."""
    if isinstance(error, OSError) and (storage := _storage_error(error)) is not None:
        error = storage
    if isinstance(error, PortArchiveError):
        error.hint = error.hint or _NEXT_STEPS.get(error.exit_code)
        return error
    return _bug(error)


_NEXT_STEPS = {
    ExitCode.LOGIN_REFUSED: "check the user name and the password or token",
    ExitCode.UNREACHABLE: "try later: the same command again goes on where this one stopped",
    ExitCode.UNFINISHED: "take the archive from a copy of it, or export into a new directory",
}
"""For errors that name no next step of their own."""


def usage_text(error: BaseException) -> str:
    """The words of typer's usage errors as the beginning of a line of ours."""
    text = str(error.format_message()) if hasattr(error, "format_message") else str(error)
    return text[:1].lower() + text[1:].rstrip(".")


def _usage_hint(error: BaseException) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "portarchive"
    return f"{path} --help lists what there is"


_STORAGE_ERRNOS = frozenset(
    {
        errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENAMETOOLONG,
        errno.ENFILE, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS, errno.ESTALE,
    }
)  # fmt: skip


def _storage_error(error: OSError) -> StorageFailed | None:
    """The error of local storage that this is; None if it is no such thing, and so a bug."""
    if error.errno not in _STORAGE_ERRNOS:
        return None
    reason = error.strerror or "an I/O error"
    if error.filename is not None:
        hint = "look at its permissions and at the room on its disk, then run the command again"
        return StorageFailed(f"{os.fsdecode(error.filename)}: {reason}", hint=hint)
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        # Archives name their files; of what only reads, stdout is the one thing to fill up.
        _silence(sys.stdout)
        return StorageFailed(
            f"the output cannot be written: {reason}", hint="give stdout a place with room"
        )
    return StorageFailed(f"local storage failed: {reason}", hint="look at the room on the disk")


def _bug(error: BaseException) -> PortArchiveError:
    import traceback  # noqa: PLC0415  only here

    from portarchive.cli.safe_text import safe_lines, without_passwords  # noqa: PLC0415

    story = "".join(traceback.format_exception(error))
    _write(sys.stderr, without_passwords(safe_lines(story)))
    return PortArchiveError(
        f"portarchive failed by its own fault ({type(error).__name__})",
        code="bug",
        hint="please report it with the lines above, as CONTRIBUTING.md says;"
        " what is in the archive is as the last finished step left it",
    )


def _say(words: list[str], *, code: str, text: str, hint: str | None) -> None:
    """Two lines for people, or the last line of stderr for programs."""
    from portarchive.cli.safe_text import safe, without_passwords  # noqa: PLC0415

    text = without_passwords(safe(text))
    hint = None if hint is None else without_passwords(safe(hint))
    if _speaks_json(words):
        import json  # noqa: PLC0415  only here

        _write(sys.stderr, json.dumps({"code": code, "message": text, "hint": hint}) + "\n")
        return
    lines = f"error: {text}\n" + (f"hint: {hint}\n" if hint else "")
    _write(sys.stderr, lines)


def _speaks_json(words: list[str]) -> bool:
    """Whether stderr is read by a program. Looked up here: parsing may be what failed."""
    options = words[: words.index("--")] if "--" in words else words
    pairs = itertools.pairwise(options)
    return (
        "--json" in options
        or "--jsonl" in options
        or "--progress=json" in options
        or ("--progress", "json") in pairs
    )


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):
        _silence(stream)


def _silence(stream: TextIO) -> None:
    """Point a broken stream at nothing, so that the interpreter's last flush is quiet too."""
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
    except (OSError, ValueError):
        pass
