"""Where the source of BVLC Caffe may come from, and what is said when it is not what it should be."""

import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = "caffe_1.0.0+git20180821.99bd997.orig.tar.gz"


@pytest.fixture(scope="module")
def archive() -> Path:
    """The archive that the build of this checkout was made from."""
    cache = ROOT / "build" / "CMakeCache.txt"
    folder = re.search(r"^CAFFE_ACU_CACHE:PATH=(.*)$", cache.read_text(), re.M) if cache.exists() else None
    path = Path(folder[1]) / ARCHIVE if folder else Path(ARCHIVE)
    if not path.exists():
        pytest.skip("the build did not fetch Caffe's archive (CAFFE_SOURCE_DIR or CAFFE_SOURCE_ARCHIVE was given)")
    return path


@pytest.fixture
def checkout(archive, tmp_path) -> Path:
    shutil.unpack_archive(archive, tmp_path / "unpacked")
    return next((tmp_path / "unpacked").glob("**/src/caffe/proto/caffe.proto")).parents[3]


def configure(build: Path, *options: str) -> subprocess.CompletedProcess:
    command = ["cmake", "-S", ROOT, "-B", build, f"-DPython_EXECUTABLE={sys.executable}", "-DCAFFE_ACU_TESTS=OFF"]
    return subprocess.run([*command, *options], capture_output=True, text=True)


def test_a_checkout_with_files_of_its_own(checkout, tmp_path):
    (checkout / "notes.txt").write_text("mine")
    (checkout / "src" / "caffe" / "layers" / "my_layer.cpp").write_text("#error not part of the commit")
    result = configure(tmp_path / "build", f"-DCAFFE_SOURCE_DIR={checkout}")
    assert result.returncode == 0, result.stderr
    assert "files verified" in result.stdout
    tree = tmp_path / "build" / "caffe"
    assert not (tree / "src" / "caffe" / "layers" / "my_layer.cpp").exists()
    assert "position_step_.Normalize()" in (tree / "src/caffe/solvers/sgd_solver.cpp").read_text()
    assert "position_step_" not in (checkout / "src/caffe/solvers/sgd_solver.cpp").read_text()
    merged = (tmp_path / "build/proto/caffe/proto/caffe.proto").read_text()
    assert (
        merged.index("message LayerParameter") < merged.index("acu_param = 1000") < merged.index("message ACUParameter")
    )


def test_another_commit_is_refused_by_file(checkout, tmp_path):
    (checkout / "src/caffe/net.cpp").write_text("// edited")
    (checkout / "tools/caffe.cpp").unlink()
    result = configure(tmp_path / "build", f"-DCAFFE_SOURCE_DIR={checkout}")
    assert result.returncode != 0
    assert re.search(r"differs +src/caffe/net\.cpp", result.stderr)
    assert re.search(r"missing +tools/caffe\.cpp", result.stderr)
    assert not (tmp_path / "build" / "caffe").exists()


def test_a_tarball_packed_by_somebody_else(checkout, tmp_path):
    renamed = checkout.rename(tmp_path / "caffe-of-mine")
    with tarfile.open(tmp_path / "mine.tar.xz", "w:xz", preset=0) as tar:
        tar.add(renamed, "caffe-of-mine")
    shutil.rmtree(renamed)
    result = configure(tmp_path / "build", f"-DCAFFE_SOURCE_ARCHIVE={tmp_path / 'mine.tar.xz'}")
    assert result.returncode == 0, result.stderr


def test_a_missing_tarball_is_named(tmp_path):
    result = configure(tmp_path / "build", "-DCAFFE_SOURCE_ARCHIVE=/nowhere/caffe.tar.gz")
    assert result.returncode != 0
    assert "CAFFE_SOURCE_ARCHIVE=/nowhere/caffe.tar.gz does not exist" in result.stderr


def test_without_a_mirror_the_cures_are_named(archive, tmp_path):
    # A cache whose archive is cut short, on a machine whose apt knows no mirror.
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / ARCHIVE).write_bytes(archive.read_bytes()[:1000])
    result = configure(tmp_path / "build", f"-DCAFFE_ACU_CACHE={cache}", "-DAPT_GET=/bin/false")
    assert result.returncode != 0
    assert "is damaged; fetching it again" in result.stdout
    message = " ".join(result.stderr.split())
    assert "could not be fetched" in message
    assert "-DCAFFE_SOURCE_ARCHIVE=<tarball> or -DCAFFE_SOURCE_DIR=<checkout>" in message
    assert list(cache.iterdir()) == []  # nothing damaged or half-fetched is left
