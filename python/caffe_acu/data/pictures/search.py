"""Finds all files below a folder, and in plain tar archives as well, without reading any of them.

A tar archive stands for a folder of its name without ``.tar``: in ``ILSVRC2012_img_train.tar`` the file x.JPEG
of the inner archive n01440764.tar is ``ILSVRC2012_img_train/n01440764/x.JPEG``, as if both were unpacked. Where all
of it lies in a folder of that name already, as in ``val_256.tar``, there is no second one.
"""

import os
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from caffe_acu.data.pictures.file_list import Files, Place, printable
from caffe_acu.data.progress import progress
from caffe_acu.data.tar_headers import CheckedTarInfo
from caffe_acu.errors import UserError

PICTURES = (b".jpg", b".jpeg", b".png", b".bmp", b".gif", b".webp")
_TAR = b".tar"
_COMPRESSED = (b".tar.gz", b".tgz", b".tar.xz", b".tar.bz2", b".tar.zst", b".zip")
_COMPRESSION_STARTS = (b"\x1f\x8b", b"\xfd7zXZ", b"BZh", b"(\xb5/\xfd")
# Deep enough for every official layout, and the end of links that lead back to themselves.
_MAX_DEPTH = 12


class Found:
    """What lies below a source: pictures, and the other files by name, e.g. listings of labels."""

    def __init__(self, sources: Sequence[Path]) -> None:
        self.where = ", ".join(map(str, sources))
        self.pictures = Files()
        self.others: list[Path] = []  # outside of archives
        self.ignored = 0  # files of no use: neither a picture nor a text outside of archives

    def others_named(self, *names: str) -> list[Path]:
        return [path for path in self.others if path.name in names]

    @property
    def compressed(self) -> list[Path]:
        return [path for path in self.others if path.name.encode("utf-8", "surrogateescape").endswith(_COMPRESSED)]


def search(sources: Sequence[Path]) -> Found:
    """Everything in ``sources``, folders or plain tars; files and folders that start with a dot are left out.

    Names begin with the source's own name. Raises UserError for a source that is not there or cannot be
    listed, and for a tar that is compressed, cut short or holds links.
    """
    found = Found(sources)
    with progress("looking for files", None, " files") as bar:
        walker = _Walker(found, bar)
        for source in sources:
            if not source.exists():
                raise UserError(f"{source}: no such file or folder: check --source")
            parent, name = os.path.split(os.fsencode(source.absolute()))
            try:
                if source.is_dir():
                    walker.folder(parent, walker.container(parent), name + b"/", 1)
                elif name.lower().endswith(_TAR):
                    walker.tar(os.path.join(parent, name), name[: -len(_TAR)] + b"/")
                else:
                    found.others.append(source)
            except OSError as error:
                where = printable(os.fsencode(error.filename or source))
                raise UserError(f"{where}: cannot be read ({error.strerror}): check its permissions") from error
    return found


class _Walker:
    def __init__(self, found: Found, bar) -> None:
        self._found = found
        self._bar = bar

    def container(self, path: bytes) -> int:
        self._found.pictures.containers.append(path)
        return len(self._found.pictures.containers) - 1

    def folder(self, root: bytes, container: int, prefix: bytes, depth: int) -> None:
        with os.scandir(os.path.join(root, prefix)) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
        for entry in ordered:
            name = prefix + entry.name
            if entry.name.startswith(b"."):
                continue
            if entry.is_dir():
                if depth < _MAX_DEPTH:
                    self.folder(root, container, name + b"/", depth + 1)
            elif name.lower().endswith(PICTURES):
                # A link whose target is gone stays in the list, so that it is reported and not lost.
                self._add(name, Place(container, -1, -1))
            elif not entry.is_file():
                continue
            elif name.lower().endswith(_TAR):
                self.tar(os.path.join(root, name), name[: -len(_TAR)] + b"/")
            else:
                self._found.others.append(Path(os.fsdecode(os.path.join(root, name))))
                self._found.ignored += 1

    def tar(self, path: bytes, prefix: bytes) -> None:
        container = self.container(path)
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            self._members(file, 0, size, prefix, container, printable(path))

    def _members(self, file: IO[bytes], begin: int, size: int, prefix: bytes, container: int, what: str) -> None:
        """Adds what the archive in bytes ``begin`` to ``begin + size`` of ``file`` holds."""
        file.seek(begin)
        if file.read(6).startswith(_COMPRESSION_STARTS):
            raise UserError(
                f"{what}: is compressed, so that its files cannot be read one by one: unpack it, and give the folder"
            )
        damaged = f"{what}: cut short or damaged: download or pack it again"
        end = begin
        first = len(self._found.pictures)
        try:
            file.seek(begin)
            with tarfile.open(fileobj=file, mode="r:", errorlevel=2, tarinfo=CheckedTarInfo) as tar:
                while (member := tar.next()) is not None:
                    tar.members.clear()  # type: ignore[attr-defined]  # it would remember millions of them
                    inside = os.fsencode(member.name).removeprefix(b"./")
                    name = prefix + inside
                    end = member.offset_data + member.size
                    if end > begin + size:
                        raise UserError(damaged)
                    if any(part.startswith(b".") for part in inside.split(b"/")):
                        continue
                    if member.islnk() or member.issym():
                        raise UserError(
                            f"{what}: {printable(name)} is a link: pack the archive again with tar --dereference "
                            "--hard-dereference, or unpack it and give the folder"
                        )
                    if member.isreg():
                        self._member(file, name, Place(container, member.offset_data, member.size), what)
        except (tarfile.TarError, EOFError) as error:
            raise UserError(f"{damaged} ({error})") from error
        # tarfile takes the end of the file for the end of the archive, which two blocks of zeros must mark.
        file.seek(-(-end // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE) or file.tell() > begin + size:
            raise UserError(damaged)
        self._unnest(first, prefix)

    def _unnest(self, first: int, prefix: bytes) -> None:
        """Takes one of two equal folders out of the names from ``first`` on, if all of them have it."""
        names = self._found.pictures.names
        nested = prefix + prefix[:-1].rpartition(b"/")[2] + b"/"
        if all(name.startswith(nested) for name in names[first:]):
            names[first:] = [prefix + name[len(nested) :] for name in names[first:]]

    def _member(self, file: IO[bytes], name: bytes, place: Place, what: str) -> None:
        if name.lower().endswith(PICTURES):
            self._add(name, place)
        elif name.lower().endswith(_TAR):
            inner = f"{what}: {printable(name)}"
            self._members(file, place.offset, place.size, name[: -len(_TAR)] + b"/", place.container, inner)
        else:
            self._found.ignored += 1

    def _add(self, name: bytes, place: Place) -> None:
        self._found.pictures.add(name, place)
        self._bar.update()
