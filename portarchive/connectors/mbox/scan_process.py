"""The process that indexes the second half of a large mbox file, while the first half is indexed.

Run as a script with nothing but the standard library and this package: descriptor, offset, size,
``rd``, ``takeout`` and the directory of the package are its arguments. It writes the place of the
first postmark behind the offset (8 octets), and at the end its index, marshalled. Whoever started
it may go away at any time.
"""

import contextlib
import marshal
import struct
import sys

PLACE = struct.Struct("<Q")


def main() -> int:
    """Index, write, end. 1: the file is not what it was."""
    fd, offset, size = (int(word) for word in sys.argv[1:4])
    rd, takeout = sys.argv[4] == "1", sys.argv[5] == "1"
    sys.path.insert(0, sys.argv[6])
    from portarchive.connectors.mbox.scan import Scanner  # noqa: PLC0415 - after the path
    from portarchive.errors import ConnectionLost  # noqa: PLC0415

    out = sys.stdout.buffer

    def tell(place: int) -> None:
        out.write(PLACE.pack(place))
        out.flush()

    scanner = Scanner(fd, rd=rd)
    try:
        scanner.begin_behind(offset, size, takeout=takeout, tell=tell)
    except (ConnectionLost, OSError):
        return 1
    out.write(marshal.dumps(scanner.state()))
    out.flush()
    return 0


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        sys.exit(main())
