"""Notices when reading a file does what no reading does: runs a program or code, or writes elsewhere."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_RUNNING = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "pty.spawn", "ctypes.dlopen")
_CHANGING = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod", "os.truncate",
             "shutil.rmtree", "shutil.move")  # fmt: skip
_allowed: list[Path] = []


class Escaped(BaseException):
    """No Exception, so that no reader takes it for a damaged file."""


@contextmanager
def guarded(folder: Path) -> Iterator[None]:
    """Raises Escaped for what happens within, in any thread, other than files read, and written below ``folder``.

    Temporary files go there, too.
    """
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    _allowed.append(folder)
    try:
        yield
    finally:
        _allowed.pop()
        tempfile.tempdir = before


def _look(event: str, arguments: tuple) -> None:
    if not _allowed:
        return
    if event in _RUNNING or event == "pickle.find_class":
        raise Escaped(f"{event} {arguments}")
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        _require_inside(event, arguments[0])
    if event in _CHANGING and isinstance(arguments[0], str | bytes):
        _require_inside(event, arguments[0])
    if event == "socket.connect" and arguments[1][0] != "127.0.0.1":
        raise Escaped(f"{event} {arguments[1]}")


def _require_inside(event: str, path: object) -> None:
    if isinstance(path, int) or path == os.devnull:
        return
    place = Path(os.path.realpath(os.fsdecode(path)))
    if not any(place.is_relative_to(os.path.realpath(folder)) for folder in _allowed):
        raise Escaped(f"{event} {place}")


sys.addaudithook(_look)
