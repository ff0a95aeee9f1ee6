"""Opening a path: its options, and one way to say that what lies there cannot be looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from portarchive.connectors.local.root import Root, cannot_read, failure
from portarchive.errors import SettingsError

_PARTS: Final = "\x1f"


def folder_id(path: tuple[str, ...]) -> str:
    """The key of a folder of files: its path, stable as long as it keeps its name."""
    return _PARTS.join(path)


@contextmanager
def looking(root: Root, *, hint: str) -> Iterator[None]:
    """Errors of the operating system while a root is looked at, in the connectors' own terms.

    Raises:
        ConnectionLost: the file system is gone.
        Unreachable: there is nothing, or it may not be read.
    """
    try:
        yield
    except OSError as error:
        raise failure(root.shown, error) or cannot_read(root.shown, error, hint=hint) from error


def check_options(
    scheme: str, options: Mapping[str, str], known: Mapping[str, Sequence[str]], *, hint: str
) -> None:
    """See that the options behind a path are some that the connector has.

    Args:
        scheme: ``maildir`` or ``mbox``.
        options: as the user gave them.
        known: the values that each may have.
        hint: the next step.

    Raises:
        SettingsError: an option that is none.
    """
    if all(value in known.get(name, ()) for name, value in options.items()):
        return
    spelled = [f"?{name}={value}" for name, values in known.items() for value in values]
    text = (
        f"the only option of {scheme}: is {spelled[0]}"
        if len(spelled) == 1
        else f"the options of {scheme}: are {', '.join(spelled[:-1])} and {spelled[-1]}"
    )
    raise SettingsError(text, hint=hint, code="bad-url")
