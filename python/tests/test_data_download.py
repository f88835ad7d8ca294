"""Downloads from a server on this machine that behaves well or badly, and what each leaves behind."""

import fcntl
import hashlib
import os
import shutil
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from caffe_acu.cli.main import main
from caffe_acu.data.cifar_formats import CIFAR10, CIFAR100, OfficialArchive
from caffe_acu.data.download import download
from caffe_acu.errors import UserError

CONTENTS = np.random.default_rng(0).integers(0, 256, 1_000_003, np.uint8).tobytes()
NAME = "cifar-10-python.tar.gz"


@dataclass
class Server:
    """A server and what it did. ``cut``: it hangs up after so many bytes of an answer; ``reset``: rudely."""

    address: str = ""
    contents: bytes = CONTENTS
    ranges: bool = True
    cut: int | None = None
    reset: bool = False
    announces: bool = True  # the length
    status: int = 200
    requests: list[tuple[str, str | None]] = field(default_factory=list)  # path, Range
    sent: int = 0

    @property
    def url(self) -> str:
        return f"{self.address}/{NAME}"


def handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers["Range"]
            server.requests.append((self.path, wanted))
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", server.url)
                return self.end_headers()
            if server.status != 200:
                return self.send_error(server.status)
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and server.ranges else 0
            if start and start >= len(server.contents):
                return self.send_error(416)
            body = server.contents[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(server.contents) - 1}/{len(server.contents)}")
            if server.announces:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: server.cut])
            server.sent += len(body[: server.cut])
            if server.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                os.close(self.connection.detach())

        def log_message(self, *_: object) -> None:
            pass

    return Handler


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        pass  # that the client went away is what some tests are about


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    official = OfficialArchive(NAME, hashlib.md5(CONTENTS).hexdigest())
    monkeypatch.setitem(CIFAR10.archives, "python", official)
    state = Server()
    with QuietServer(("127.0.0.1", 0), handler(state)) as http_server:
        state.address = f"http://127.0.0.1:{http_server.server_port}"
        thread = threading.Thread(target=http_server.serve_forever, args=(0.01,))
        thread.start()
        yield state
        http_server.shutdown()
        thread.join()


def fetch(server: Server, folder: Path) -> Path:
    return download(CIFAR10, "python", folder, server.url)


def refused(server: Server, folder: Path, reason: str) -> None:
    with pytest.raises(UserError, match=reason) as error:
        fetch(server, folder)
    assert "\n" not in str(error.value)
    assert not (folder / NAME).exists()


def part(folder: Path, contents: bytes | None = None) -> Path:
    path = folder / f"{NAME}.part"
    if contents is not None:
        path.write_bytes(contents)
    return path


def test_an_archive_is_fetched_once(tmp_path, server, capsys):
    folder = tmp_path / "new" / "folder"
    arguments = ["data", "download", "cifar10", "--to", str(folder), "--url", server.url]
    for _ in range(2):
        assert main(arguments) == 0
        assert f"caffe-acu data cifar10 --source {folder / NAME} --out" in capsys.readouterr().out
    assert [path.name for path in folder.iterdir()] == [NAME]
    assert (folder / NAME).read_bytes() == CONTENTS
    assert len(server.requests) == 1


def test_a_cut_connection_is_resumed(tmp_path, server):
    server.cut = 400_000
    refused(server, tmp_path, rf"{server.url}: the connection broke after 0\.4 MB .*same command again")
    assert part(tmp_path).read_bytes() == CONTENTS[:400_000]
    server.cut = None
    assert fetch(server, tmp_path).read_bytes() == CONTENTS
    assert [wanted for _, wanted in server.requests] == [None, "bytes=400000-"]
    assert server.sent == len(CONTENTS)  # nothing came twice
    assert not part(tmp_path).exists()


def test_a_reset_connection_is_resumed(tmp_path, server):
    server.cut, server.reset = 600_000, True
    refused(server, tmp_path, r"the connection broke after .*reset by peer")
    server.cut, server.reset = None, False
    assert fetch(server, tmp_path).read_bytes() == CONTENTS


def test_a_redirection_is_followed_and_resumed(tmp_path, server):
    part(tmp_path, CONTENTS[:1000])
    download(CIFAR10, "python", tmp_path, f"{server.address}/moved")
    assert server.requests == [("/moved", "bytes=1000-"), (f"/{NAME}", "bytes=1000-")]
    assert (tmp_path / NAME).read_bytes() == CONTENTS


def test_without_ranges_it_starts_again(tmp_path, server):
    server.ranges = False
    part(tmp_path, CONTENTS[:1000])
    assert fetch(server, tmp_path).read_bytes() == CONTENTS


@pytest.mark.parametrize("left", [CONTENTS[:-1] + b"?", CONTENTS + b"more"])
def test_a_part_that_is_as_long_as_the_archive_but_wrong(tmp_path, server, left):
    part(tmp_path, left)
    assert fetch(server, tmp_path).read_bytes() == CONTENTS


def test_a_part_that_is_whole_needs_no_server(tmp_path, server):
    part(tmp_path, CONTENTS)
    assert fetch(server, tmp_path).read_bytes() == CONTENTS
    assert not server.requests


def test_a_part_of_something_else_is_not_mixed_in(tmp_path, server):
    part(tmp_path, b"x" * 1000)
    refused(server, tmp_path, "is not cifar-10-python.tar.gz and was removed")
    assert fetch(server, tmp_path).read_bytes() == CONTENTS


@pytest.mark.parametrize("announces", [True, False])
def test_wrong_contents_are_removed(tmp_path, server, announces):
    server.contents, server.announces = b"<html>please log in</html>", announces
    refused(server, tmp_path, rf"{server.url}: what came \(26 bytes, MD5 .*by hand from https://www\.cs\.toronto\.edu")
    assert not list(tmp_path.iterdir())


def test_without_a_length_only_the_hash_can_tell(tmp_path, server):
    server.announces = False
    assert fetch(server, tmp_path).read_bytes() == CONTENTS


@pytest.mark.parametrize("status, reason", [(404, "Not Found"), (503, "Service Unavailable")])
def test_an_error_of_the_server(tmp_path, server, status, reason):
    server.status = status
    refused(server, tmp_path, rf"{server.url}: the server answers {status} {reason}: fetch {NAME} by hand .*--source")
    assert not list(tmp_path.iterdir())
    part(tmp_path, CONTENTS[:1000])
    refused(server, tmp_path, str(status))
    assert part(tmp_path).read_bytes() == CONTENTS[:1000]


def test_what_cannot_be_reached(tmp_path, server, capsys):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        for url, reason in (
            (f"http://127.0.0.1:{port}/{NAME}", "cannot be reached .*refused"),
            (f"http://127.0.0.1:nonsense/{NAME}", "cannot be reached"),
            ("file:///etc/passwd", "no address of http"),
        ):
            with pytest.raises(UserError, match=f"{url}: .*{reason}"):
                download(CIFAR10, "python", tmp_path, url)
    assert not list(tmp_path.iterdir())


def test_a_name_that_does_not_resolve(tmp_path, server, monkeypatch):
    def fails(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(UserError, match=r"https://www\.cs\.toronto\.edu/~kriz/cifar-100-binary\.tar\.gz: cannot be .*"):
        download(CIFAR100, "binary", tmp_path)


def test_a_proxy_of_the_environment_is_asked(tmp_path, server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.address)
    assert download(CIFAR10, "python", tmp_path, f"http://images.invalid/{NAME}").read_bytes() == CONTENTS
    assert server.requests == [(f"http://images.invalid/{NAME}", None)]


def test_a_full_disk(tmp_path, server, monkeypatch):
    part(tmp_path).symlink_to("/dev/full")  # nothing can be written there, truly
    refused(server, tmp_path, r"\.part: cannot be written \(No space left on device\): free some space")
    part(tmp_path).unlink(missing_ok=True)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 10**5))
    refused(server, tmp_path, "the archive needs 1 MB more, 0 MB are free: free some space")


def test_a_folder_that_cannot_be_made(tmp_path, server):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match="file.*: cannot be written .*--to"):
        fetch(server, tmp_path / "file")


def test_another_file_of_that_name_is_left_alone(tmp_path, server):
    (tmp_path / NAME).write_text("mine")
    with pytest.raises(UserError, match=rf"{NAME}: is there, but is not the official archive"):
        fetch(server, tmp_path)
    assert (tmp_path / NAME).read_text() == "mine"
    assert not server.requests


def test_two_runs_do_not_write_the_same_file(tmp_path, server):
    with part(tmp_path, CONTENTS[:1000]).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        refused(server, tmp_path, "another run is downloading it")
    assert part(tmp_path).read_bytes() == CONTENTS[:1000]


def test_the_official_addresses():
    stated = {archive.url: archive.md5 for format_ in (CIFAR10, CIFAR100) for archive in format_.archives.values()}
    assert stated == {
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a",
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz": "eb9058c3a382ffc7106e4002c42a8d85",
        "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8",
    }
