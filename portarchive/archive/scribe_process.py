"""The process at the other end of ``scribe``: writes message files, hashes them, answers.

Run as a script of its own, with nothing but the standard library and no site packages, so that it
stands within milliseconds. It trusts its parent and nobody else talks to it. End of input is its
end, so it never outlives the run; and it holds the writer's lock as long as it may still write.

A request: two 32-bit lengths, a marshalled ``(directory, [(name, epoch or None, size), …])``, the
octets of all files. An answer: errno, 0 for none, and the SHA-256 digests of the files; or errno
and the 32-bit number of the file it happened to.
"""

import contextlib
import hashlib
import marshal
import os
import struct

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_LENGTHS = struct.Struct("<II")
_ANSWER = struct.Struct("<i")
_FAILED = struct.Struct("<iI")


def _read(fd: int, view: memoryview) -> bool:
    """Fill the view; False at the end of input."""
    at = 0
    while at < len(view):
        got = os.readv(fd, [view[at:]])
        if got == 0:
            return False
        at += got
    return True


def _write(fd: int, octets: memoryview | bytes) -> None:
    view = memoryview(octets)
    done = 0
    while done < len(view):
        done += os.write(fd, view[done:])


def _store(directory: int, name: bytes, epoch: int | None, octets: memoryview) -> bytes:
    fd = os.open(name, _NEW, 0o600, dir_fd=directory)
    try:
        _write(fd, octets)
        if epoch is not None:
            os.utime(fd, (epoch, epoch))
    except BaseException:
        os.close(fd)
        os.unlink(name, dir_fd=directory)
        raise
    os.close(fd)
    return hashlib.sha256(octets).digest()


def serve(requests: int, answers: int) -> None:
    """Answer until the input ends."""
    lengths = bytearray(_LENGTHS.size)
    buffer = bytearray(1 << 20)
    directory_name = b""
    directory = -1
    while _read(requests, memoryview(lengths)):
        head_length, body_length = _LENGTHS.unpack(lengths)
        length = head_length + body_length
        if length > len(buffer):
            buffer = bytearray(length)
        view = memoryview(buffer)[:length]
        if not _read(requests, view):
            return
        wanted, files = marshal.loads(view[:head_length])  # noqa: S302 - from our own parent
        at = head_length
        digests = bytearray()
        number = 0
        try:
            if wanted != directory_name:
                if directory >= 0:
                    os.close(directory)
                directory = os.open(wanted, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                directory_name = wanted
            for number, (name, epoch, size) in enumerate(files):  # noqa: B007 - told on failure
                digests += _store(directory, name, epoch, view[at : at + size])
                at += size
        except OSError as error:
            _write(answers, _FAILED.pack(error.errno or 5, number))
            return
        _write(answers, _ANSWER.pack(0) + digests)


if __name__ == "__main__":
    os.umask(0o077)
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        serve(0, 1)
