"""Files of a folder or of a tar archive, alike. Archives are streamed and never unpacked to disk."""

import bz2
import gzip
import lzma
import os
import tarfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Protocol

from caffe_acu.data.tar_headers import MOST_BYTES, CheckedTarInfo, read_member
from caffe_acu.errors import UserError

# <data set>/<split>/<class>/<image> is the deepest that a reader looks for. The bound also ends loops of links.
_MAX_DEPTH = 4
_OPENERS = {b"\x1f\x8b": gzip.open, b"\xfd7zXZ": lzma.open, b"BZh": bz2.open}


class Archive(Protocol):
    """Names are relative, with forward slashes; files and folders whose name starts with a dot are left out."""

    path: Path

    def names(self) -> list[str]:
        """All files, in their order."""
        ...

    def read(self, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Names and contents of these files, in any order. Raises UserError where one cannot be read."""
        ...


def open_archive(path: Path) -> Archive:
    """The folder or tar archive (plain, gzip, bzip2 or xz) at ``path``; UserError if there is none."""
    if path.is_dir():
        return _Folder(path)
    if path.is_file():
        return _Tar(path)
    raise UserError(f"{path}: no such file or folder: check --source")


def _hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


class _Folder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        try:
            return sorted(self._walk("", 1))
        except OSError as error:
            raise UserError(f"{error.filename}: cannot be listed ({error.strerror}): check its permissions") from error

    def _walk(self, prefix: str, depth: int) -> Iterator[str]:
        for entry in os.scandir(self.path / prefix):
            name = prefix + entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_file():
                yield name
            elif entry.is_dir() and depth < _MAX_DEPTH:
                yield from self._walk(name + "/", depth + 1)

    def read(self, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
        for name in names:
            path = self.path / name
            try:
                yield name, path.read_bytes()
            except OSError as error:
                raise UserError(f"{path}: cannot be read ({error.strerror}): check its permissions") from error


class _Tar:
    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        return [name for name, _, _ in self._members()]

    def read(self, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
        wanted = set(names)
        for name, tar, member in self._members():
            if name in wanted:
                yield name, self._content(tar, member)

    def _content(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
        try:
            return read_member(tar, member)
        except tarfile.TarError as error:
            raise UserError(f"{self.path}: {error}: is it an archive of these data? Download it again") from error

    def _members(self) -> Iterator[tuple[str, tarfile.TarFile, tarfile.TarInfo]]:
        try:
            with self._open() as stream, tarfile.open(fileobj=stream, mode="r|", tarinfo=CheckedTarInfo) as tar:
                for member in tar:
                    name = member.name.removeprefix("./")
                    # A stream is read on to the next header bit by bit, even where it has ended long since.
                    if (taken := tar.offset - member.offset_data) > MOST_BYTES:
                        raise tarfile.ReadError(f"{name} takes {taken} bytes")
                    if member.islnk() or member.issym():
                        raise UserError(
                            f"{self.path}: {name} is a link, whose target a stream cannot look up: pack the archive "
                            "again with tar --dereference --hard-dereference"
                        )
                    if member.isreg() and not _hidden(name):
                        yield name, tar, member
                # The checksum of the compression stands after the archive's own end.
                while stream.read(1 << 20):
                    pass
        except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, OSError, MemoryError) as error:
            reason = " ".join(str(error).split()) or "its compression asks for more memory than there is"
            raise UserError(
                f"{self.path}: not a tar archive, or cut short or damaged ({reason}): download or pack it again"
            ) from error

    def _open(self) -> IO[bytes]:
        with self.path.open("rb") as file:
            start = file.read(8)
            for magic, opener in _OPENERS.items():
                if start.startswith(magic):
                    return opener(self.path, "rb")
            # Compression notices a missing end, tarfile does not: an archive ends with blocks of zeros.
            if file.seek(0, os.SEEK_END) >= tarfile.BLOCKSIZE:
                file.seek(-tarfile.BLOCKSIZE, os.SEEK_END)
                if any(file.read()):
                    raise tarfile.ReadError("the end is missing")
        return self.path.open("rb")
