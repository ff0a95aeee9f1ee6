"""The directory that a target writes into: there already, or made when the first folder is.

Opening it writes nothing, so that a plan can be made before anything is.
"""

from __future__ import annotations

import os
from pathlib import Path

from portarchive.archive.durable import DIRECTORY_MODE, Durability
from portarchive.connectors.local.root import Root
from portarchive.connectors.local.storing import folds_case, owner, storing
from portarchive.errors import ConnectionLost
from portarchive.placing import Whereabouts


class TargetRoot:
    """See the module.

    Args:
        path: as the user named it; ``~`` is the user's home.
        hint: how it is written.
        durable: whether its name is synced when it is made.

    Attributes:
        shown: the same, absolute.
        folds_case: names that differ in case only are one file there.

    Raises:
        Unreachable: it is there and may not be read, or is a device.
    """

    def __init__(self, path: str, *, hint: str, durable: Durability) -> None:
        self.shown = Path(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111 - no resolving here
        self._hint = hint
        self._durable = durable
        self._closed = False
        self._root = Root(path, hint=hint) if os.path.lexists(self.shown) else None
        at = self.shown / "cur"
        self.folds_case = folds_case(at if at.is_dir() else self.shown)

    @property
    def there(self) -> Root | None:
        """The root, if there is one by now.

        Raises:
            ConnectionLost: it was there and is gone, or the target is closed.
            Unreachable: as for the class.
        """
        if self._closed:
            raise ConnectionLost(f"{self.shown} is closed")
        if self._root is None and os.path.lexists(self.shown):
            self._root = Root(str(self.shown), hint=self._hint)
        if self._root is not None:
            self._root.check()
        return self._root

    def made(self) -> Root:
        """The root; made, 0700 and its parents with it, if it is not there.

        Raises:
            StorageFailed: it cannot be made.
            ConnectionLost, Unreachable: as ``there`` says.
        """
        found = self.there
        if found is not None:
            return found
        with storing(self.shown):
            missing = [self.shown]
            while not missing[-1].parent.exists():
                missing.append(missing[-1].parent)
            for directory in reversed(missing):
                directory.mkdir(DIRECTORY_MODE, exist_ok=True)
                directory.chmod(DIRECTORY_MODE)
                parent = os.open(directory.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    own = owner(parent)
                finally:
                    os.close(parent)
                if own is not None:
                    os.chown(directory, *own)
                self._durable.directory(directory.parent)
        self._root = Root(str(self.shown), hint=self._hint)
        return self._root

    def whereabouts(self) -> Whereabouts:
        """See ``Target.whereabouts``: by device and inode, whatever path or link led here.

        Raises:
            StorageFailed: it is not there and cannot be made.
            ConnectionLost, Unreachable: as ``there`` says.
        """
        path = self.made().path
        with storing(self.shown):
            about = path.stat()
        return Whereabouts((f"file {about.st_dev} {about.st_ino}", f"path {path}"), path)

    def reconnect(self) -> None:
        """Take what lies there now for the root.

        Raises:
            Unreachable: as for the class.
        """
        self._closed = False
        if self._root is not None:
            self._root.connect()

    def close(self) -> None:
        """Nothing can be asked any more, until ``reconnect``."""
        self._closed = True
