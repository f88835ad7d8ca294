"""The relocatable folder: what is in it, what it asks of a machine, and that it runs where nothing else is.

CAFFE_ACU_BUILD names another build than build/, one for CUDA for instance.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("CAFFE_ACU_BUILD", "build")
LARGEST = 40 * 2**20
NEWEST_GLIBC = (2, 36)

GLIBC = re.compile(r"ld-linux.*|lib(c|m|mvec|dl|rt|pthread|resolv|util)\.so\.\d+")
CUDA = re.compile(r"lib(cudart|cublas|cublasLt|curand|cudnn|nccl)\.so\.\d+")

# Every layer for which cuDNN has an engine: in a build with it, they train also where it cannot run.
NET = """
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 4 dim: 3 dim: 8 dim: 8 } shape { dim: 4 }
  data_filler { type: "gaussian" } data_filler { type: "constant" } } }
layer { name: "acu" type: "ACU" bottom: "data" top: "acu"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "conv" type: "Convolution" bottom: "acu" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "deconv" type: "Deconvolution" bottom: "conv" top: "deconv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "msra" } engine: CUDNN } }
layer { name: "relu" type: "ReLU" bottom: "deconv" top: "deconv" }
layer { name: "sigmoid" type: "Sigmoid" bottom: "deconv" top: "sigmoid" sigmoid_param { engine: CUDNN } }
layer { name: "tanh" type: "TanH" bottom: "sigmoid" top: "tanh" }
layer { name: "lrn" type: "LRN" bottom: "tanh" top: "lrn" }
layer { name: "pool" type: "Pooling" bottom: "lrn" top: "pool" pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "product" type: "InnerProduct" bottom: "pool" top: "product"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "product" bottom: "label" top: "loss" }
"""
# HDF5, because its library is one of those that were changed.
SOLVER = """
net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 3 solver_mode: CPU
snapshot_prefix: "trained" snapshot_format: HDF5
"""


def option(name: str) -> str:
    found = re.search(rf"^{name}:\w+=(.*)$", (BUILD / "CMakeCache.txt").read_text(), re.M)
    return found[1] if found else ""


if not (BUILD / "bin" / "caffe").exists():
    pytest.skip(f"no build in {BUILD}", allow_module_level=True)
WITH_CUDA = option("CAFFE_ACU_CUDA") == "ON"
# A machine on which nothing is set; only a build for CUDA needs to be told of a Python, for its libraries.
NOTHING = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"} if WITH_CUDA else {}
TESTS = {"acu_tests", "caffe_tests"} if option("CAFFE_ACU_TESTS") == "ON" else set()
if option("CAFFE_ACU_UPSTREAM_TESTS") == "OFF":
    TESTS.discard("caffe_tests")
needs_python = pytest.mark.skipif(option("CAFFE_ACU_PYTHON") == "OFF", reason="built without pycaffe")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Installed, then moved elsewhere."""
    first = tmp_path_factory.mktemp("built") / "caffe-acu"
    command = ["cmake", "--install", BUILD, "--strip", "--prefix", first]
    log = subprocess.run(command, capture_output=True, text=True)
    assert log.returncode == 0, log.stderr
    assert "No licence found" not in log.stderr
    return first.rename(tmp_path_factory.mktemp("moved") / "the folder")


@pytest.fixture(scope="module")
def binaries(folder) -> dict[Path, str]:
    """Every program and library, with what `readelf` says of it."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    elf = [path for path in files if path.open("rb").read(4) == b"\x7fELF"]
    command = ["readelf", "--wide", "--dynamic", "--version-info"]
    return {path: subprocess.run([*command, path], capture_output=True, text=True, check=True).stdout for path in elf}


@pytest.fixture
def job(tmp_path) -> Path:
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    return tmp_path


def run(*command: object, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(part) for part in command], **({"env": NOTHING, "capture_output": True, "text": True} | options)
    )


def said(text: str, kind: str) -> list[str]:
    return re.findall(rf"\({kind}\).*\[(.*)\]", text)


def test_contents(folder):
    programs = {"caffe", "compute_image_mean", "convert_imageset", "extract_features", "layer_times", "read_times"}
    programs |= {f"upgrade_{kind}" for kind in ("net_proto_binary", "net_proto_text", "solver_proto_text")}
    programs |= TESTS
    assert {path.name for path in (folder / "libexec").iterdir()} == programs
    assert {path.name for path in (folder / "bin").iterdir()} == programs | {"caffe-acu-env"}
    assert {path.name for path in folder.iterdir()} <= {"README.md", "bin", "lib", "libexec", "python", "share"}
    expected = ["lib/libcaffe.so.1", "lib/gcc/libstdc++.so.6", "share/caffe-acu/proto/caffe.proto"]
    expected += ["share/caffe-acu/models/cvpr2017/plain_acu/solver.prototxt", "share/doc/caffe/LICENSE"]
    expected += ["share/doc/caffe-acu/LICENSE", "share/doc/libopencv-core406/copyright"]
    if option("CAFFE_ACU_PYTHON") != "OFF":
        expected += [f"python/caffe/{name}" for name in ("_caffe.so", "_peers.so", "proto/caffe_pb2.py")]
    assert [name for name in expected if not (folder / name).is_file()] == []
    version = (folder / "share" / "caffe-acu" / "VERSION").read_text()
    assert re.search(r"^commit ([0-9a-f]{40}(-dirty)?|unknown)$", version, re.M)
    assert str(ROOT) not in version


def test_only_glibc_and_cuda_are_left_to_the_machine(folder, binaries):
    here = {path.name for path in (folder / "lib").rglob("*.so*")}
    asked = {name for text in binaries.values() for name in said(text, "NEEDED")}
    left = {name for name in asked - here if not GLIBC.fullmatch(name)}
    assert {name for name in left if not CUDA.fullmatch(name)} == set()
    assert bool(left) == WITH_CUDA


def test_nothing_in_it_is_there_for_nothing(folder, binaries):
    asked = {name for text in binaries.values() for name in said(text, "NEEDED")}
    here = {path.name for path in (folder / "lib").rglob("*.so*")}
    # libtbb opens its allocator by itself; libcaffe.so.1 is a link.
    assert here - asked == {"libtbbmalloc.so.2", "libcaffe.so.1.0.0"}


def test_run_paths_are_relative(folder, binaries):
    for path, text in binaries.items():
        assert said(text, "RPATH") == [], path
        depth = len(path.parent.relative_to(folder).parts)
        paths = said(text, "RUNPATH")
        if path.is_relative_to(folder / "lib"):
            assert paths in (["$ORIGIN"], []), path
        else:
            assert paths == ["$ORIGIN/" + "../" * depth + "lib"], path


def test_no_newer_glibc_is_needed(binaries):
    versions = [re.findall(r"Name: GLIBC_(\d+)\.(\d+)", text) for text in binaries.values()]
    assert max((int(major), int(minor)) for found in versions for major, minor in found) <= NEWEST_GLIBC


def test_every_symbol_is_found(folder):
    environment = NOTHING | {"LD_WARN": "1", "LD_BIND_NOW": "1", "LD_TRACE_LOADED_OBJECTS": "1"}
    for program in (folder / "libexec").iterdir():
        result = run(folder / "bin" / "caffe-acu-env", "env", *(f"{k}={v}" for k, v in environment.items()), program)
        assert result.returncode == 0
        assert "undefined symbol" not in result.stdout + result.stderr
        assert "no version information" not in result.stdout + result.stderr


def test_the_tarball_is_small_and_has_everything(folder, tmp_path):
    # Not the xz of the target `package`: zstd is 15 times as fast, and its files are larger by half.
    subprocess.run(["cpack", "-G", "TZST", "-B", tmp_path], cwd=BUILD, stdout=subprocess.DEVNULL, check=True)
    (tarball,) = tmp_path.glob("caffe-acu-*.tar.*")
    assert tarball.stat().st_size < LARGEST
    names = run("tar", "-tf", tarball, env=None).stdout.splitlines()
    packed = {name.partition("/")[2] for name in names if not name.endswith("/")}
    assert packed == {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def test_it_trains_in_an_empty_environment(folder, job):
    link = job / "caffe of mine"
    link.symlink_to(os.path.relpath(folder / "bin" / "caffe", job))
    assert run(link, "--version").stdout == "caffe version 1.0.0\n"
    # Started as a bare name.
    assert run("/bin/sh", "caffe", "--version", cwd=folder / "bin").stdout == "caffe version 1.0.0\n"
    result = run(link, "train", "--solver", "solver.prototxt", cwd=job)
    assert result.returncode == 0, result.stderr
    assert (job / "trained_iter_3.caffemodel.h5").exists()


@pytest.mark.skipif(WITH_CUDA, reason="CUDA's libraries would have to be there")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may chroot")
def test_it_trains_where_only_glibc_and_a_shell_are(folder, job):
    root = job / "root"
    loader = re.search(r"interpreter: (.*)\]", run("readelf", "-l", folder / "libexec/caffe", env=None).stdout)[1]
    libc = re.search(r"libc\.so\.6 => (.*)/libc\.so\.6", run("ldd", "/bin/sh", env=None).stdout)[1]
    for file in (loader, "/bin/sh", *(f"{libc}/lib{name}" for name in ("c.so.6", "m.so.6", "pthread.so.0"))):
        (root / file[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, root / file[1:])
    shutil.copytree(folder, root / "opt" / "caffe acu", symlinks=True, copy_function=os.link)
    (root / "tmp").mkdir()
    for name in ("net.prototxt", "solver.prototxt"):
        shutil.copy(job / name, root / name)
    # The loader would find $ORIGIN in /proc.
    environment = {"LD_ORIGIN_PATH": "/opt/caffe acu/libexec"}
    program = "/opt/caffe acu/bin/caffe"
    chroot = shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin")
    result = run(chroot, root, program, "train", "--solver", "solver.prototxt", env=environment)
    assert result.returncode == 0, result.stderr
    assert (root / "trained_iter_3.caffemodel.h5").exists()


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif", "webp"])
def test_images_are_decoded(folder, tmp_path, suffix):
    """Through OpenCV, whose library was changed."""
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"image.{suffix}")
    (tmp_path / "list").write_text(f"image.{suffix} 0\n")
    result = run(folder / "bin" / "convert_imageset", f"{tmp_path}/", "list", "lmdb", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "Processed 1 files" in result.stderr


def test_a_file_that_is_no_image_is_refused(folder, tmp_path):
    """What GDAL and GDCM (DICOM) would be asked to read."""
    (tmp_path / "a.ntf").write_bytes(b"NITF02.10" + bytes(500))
    (tmp_path / "a.dcm").write_bytes(bytes(128) + b"DICM" + bytes(500))
    (tmp_path / "list").write_text("a.ntf 0\na.dcm 0\n")
    result = run(folder / "bin" / "convert_imageset", f"{tmp_path}/", "list", "lmdb", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("Could not open or find file") == 2


@pytest.mark.parametrize("program", sorted(TESTS))
def test_the_tests_find_their_data(folder, program):
    some = {"acu_tests": "*PositionStepTest*", "caffe_tests": "ImageDataLayerTest/0.TestRead"}[program]
    result = run(folder / "bin" / program, f"--gtest_filter={some}")
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"PASSED  \] [1-9]", result.stdout)


@needs_python
def test_pycaffe(folder, tmp_path):
    code = "import caffe; print(caffe.__file__, 'ACU' in caffe.layer_type_list())"
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    result = run(folder / "bin" / "caffe-acu-env", "python3", "-c", code, env=environment, cwd=tmp_path)
    assert result.stdout == f"{folder}/python/caffe/__init__.py True\n", result.stderr


@needs_python
def test_caffe_acu_trains_with_it(folder, job):
    """The command is of this Python; Caffe, which it finds first, of the folder."""
    code = (
        "import caffe._peers, sys; print(caffe._peers.__file__); from caffe_acu.cli.main import main; sys.exit(main())"
    )
    command = (sys.executable, "-c", code, "train", "--solver", "solver.prototxt")
    result = run(folder / "bin" / "caffe-acu-env", *command, env={"PATH": "/usr/bin:/bin"}, cwd=job)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{folder}/python/caffe/_peers.so\n"
    assert (job / "trained_iter_3.caffemodel.h5").exists()


def compile_c(path: Path, code: str, *options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cc", "-x", "c", "-", "-x", "none", *options, "-o", path], input=code, text=True, check=True)


def make_library(path: Path, *options: object) -> None:
    compile_c(path, "", "-shared", "-nostdlib", f"-Wl,-soname,{path.name}", *options)


@pytest.fixture
def wants_cuda(tmp_path) -> tuple[Path, dict[str, str]]:
    """The script that starts a program which needs a CUDA that no machine has, and the variables that lead to it."""
    packages, toolkit = tmp_path / "site packages", tmp_path / "cuda toolkit"
    libraries = [packages / "nvidia/cudnn/lib/libcudnn.so.99", toolkit / "lib64/libcublas.so.99"]
    for library in libraries:
        make_library(library)
    code = '#include <stdio.h>\nint main(void) { puts("it runs"); }'
    compile_c(tmp_path / "folder/libexec/caffe", code, "-Wl,--no-as-needed", *libraries)
    script = tmp_path / "folder/bin/caffe"
    script.parent.mkdir()
    text = (ROOT / "cmake/package/run.sh.in").read_text()
    script.write_text(text.replace("@CUDA_MAJOR@", "99").replace("@CUDA_WHEELS@", "nvidia-cublas"))
    script.chmod(0o755)
    return script, {"PYTHONPATH": str(packages), "CUDA_HOME": str(toolkit)}


def test_cuda_is_found_in_python_packages_and_in_a_toolkit(wants_cuda):
    script, variables = wants_cuda
    result = run(script, env={"PATH": "/usr/bin:/bin"} | variables)
    assert result.stdout == "it runs\n", result.stderr


def test_without_cuda_the_cures_are_named(wants_cuda):
    script, variables = wants_cuda
    result = run(script, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": variables["PYTHONPATH"]})
    assert (result.returncode, result.stdout) == (127, "")
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("caffe: not found: libcublas.so.99. Add the folders of CUDA 99's libraries to LD_")
    assert result.stderr.endswith(" python3 -m pip install nvidia-cublas\n")


def test_an_old_libstdcxx_on_the_machine_is_passed_over(folder, tmp_path):
    (tmp_path / "map").write_text("GLIBCXX_3.4 {};")
    make_library(tmp_path / "old" / "libstdc++.so.6", f"-Wl,--version-script={tmp_path / 'map'}")
    result = run(folder / "bin" / "caffe", "--version", env=NOTHING | {"LD_LIBRARY_PATH": str(tmp_path / "old")})
    assert result.stdout == "caffe version 1.0.0\n", result.stderr
