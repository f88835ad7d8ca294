"""Fetches an official archive over HTTP: goes on where it was cut off, and takes nothing for whole but by its MD5.

Python's urllib does the rest: it takes proxies from the environment and follows redirections.
"""

import fcntl
import hashlib
import http.client
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from caffe_acu.data.cifar_formats import PAGE, CifarFormat, OfficialArchive
from caffe_acu.data.progress import progress
from caffe_acu.errors import UserError

_TIMEOUT = 60  # seconds in which a server has to say something
_BLOCK = 1 << 18  # bytes at most at a time
_NETWORK_ERRORS = (OSError, http.client.HTTPException, ValueError)


def download(data_set: CifarFormat, form: str, to: Path, url: str | None = None) -> Path:
    """The archive of ``data_set`` in that form, a key of its archives, in the folder ``to``; returns its path.

    One that is there already is only checked. What has come of an unfinished one stands in ``<name>.part``, and
    the next call goes on from there where the server can do so. ``url`` is the address of the archive on another
    server than the official one. Raises UserError, which names the address or file, if it cannot be fetched or
    written, or is not what it should be.
    """
    archive = data_set.archives[form]
    url = url or archive.url
    if not url.startswith(("http://", "https://")):
        raise UserError(f"{url}: is no address of http or https: check --url")
    target = to / archive.name
    part = to / f"{archive.name}.part"
    try:
        to.mkdir(parents=True, exist_ok=True)
        if target.exists():
            _require_official(target, archive)
            return target
        with _locked(part) as file:
            _fetch(url, file, part, archive, _by_hand(data_set, archive))
            part.rename(target)
    except OSError as error:
        raise UserError(
            f"{error.filename or part}: cannot be written ({error.strerror}): free some space, or choose another --to"
        ) from error
    return target


def _by_hand(data_set: CifarFormat, archive: OfficialArchive) -> str:
    return (
        f"fetch {archive.name} by hand from {PAGE} and give it to `caffe-acu data {data_set.command}` as --source, "
        "or name another server with --url"
    )


def _require_official(target: Path, archive: OfficialArchive) -> None:
    found = _md5(target)
    if found != archive.md5:
        raise UserError(
            f"{target}: is there, but is not the official archive (MD5 {found} instead of {archive.md5}): move it "
            "away, or choose another --to"
        )


@contextmanager
def _locked(part: Path) -> Iterator[IO[bytes]]:
    """``part``, open for appending by this process alone; it does not stay behind if nothing came."""
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{part}: another run is downloading it: wait for it, or choose another --to") from error
        try:
            yield file
        finally:
            if file.tell() == 0:
                part.unlink()


def _fetch(url: str, file: IO[bytes], part: Path, archive: OfficialArchive, by_hand: str) -> None:
    done = file.tell()
    if done and _md5(part) == archive.md5:
        return
    with _request(url, done, by_hand) as response:
        if done and response.status != http.HTTPStatus.PARTIAL_CONTENT:
            file.seek(0)
            file.truncate()
            done = 0
        total = None if response.length is None else done + response.length
        _require_space(part.parent, (total or 0) - done)
        with progress(f"downloading {archive.name}", total, "B", scale=True) as bar:
            bar.update(done)
            while block := _read(response, url, done):
                file.write(block)
                done += len(block)
                bar.update(len(block))
        file.flush()
    if total is not None and done < total:
        raise _broken(url, done, f"{total / 1e6:.1f} MB were announced")
    found = _md5(part)
    if found != archive.md5:
        # No continuation can make it right.
        part.unlink()
        raise UserError(
            f"{url}: what came ({done} bytes, MD5 {found} instead of {archive.md5}) is not {archive.name} and was "
            f"removed: try again, or {by_hand}"
        )


def _request(url: str, done: int, by_hand: str) -> http.client.HTTPResponse:
    """The server's answer: status 206 with what follows ``done`` bytes, or 200 with everything."""
    headers = {"User-Agent": "caffe-acu"} | ({"Range": f"bytes={done}-"} if done else {})
    try:
        # Not urlopen, which looks at the environment's proxies once in the life of a process.
        opener = urllib.request.build_opener()
        return opener.open(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if done and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _request(url, 0, by_hand)  # as much as the whole archive came, but it is not the archive
        raise UserError(f"{url}: the server answers {error.code} {error.reason}: {by_hand}") from error
    except _NETWORK_ERRORS as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"{url}: cannot be reached ({reason}): check the network and its proxy, or {by_hand}"
        ) from error


def _read(response: http.client.HTTPResponse, url: str, done: int) -> bytes:
    try:
        return response.read1(_BLOCK)  # what is there: a slow server is seen to be slow, and little is lost
    except _NETWORK_ERRORS as error:
        raise _broken(url, done, str(error)) from error


def _broken(url: str, done: int, reason: str) -> UserError:
    return UserError(
        f"{url}: the connection broke after {done / 1e6:.1f} MB ({reason}): give the same command again, it goes on "
        "from there"
    )


def _require_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder}: the archive needs {needed / 1e6:.0f} MB more, {free / 1e6:.0f} MB are free: free some space, "
            "or choose another --to"
        )


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        # A checksum that the data's authors publish, no protection against an attacker.
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
