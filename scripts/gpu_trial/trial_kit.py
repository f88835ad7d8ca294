"""What the trial works with: the relocatable folder, our Python packages, wheels and images. Standard library only.

A kit, which make_kit.sh makes, has them packed beside this file; in a checkout they are named by options.
"""

import importlib.util
import json
import shutil
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

KIT_FILE = "KIT.json"
_HERE = Path(__file__).resolve().parent


class TrialError(Exception):
    """What stops the trial, in a line with the cure."""


@dataclass(frozen=True)
class Kit:
    """Folders and files in use."""

    package: Path  # the relocatable folder or a build tree: it has bin/caffe
    images: Path | None
    site: Path  # packages that this Python lacked, unpacked; may not be there
    about: dict[str, object]  # of KIT.json; empty in a checkout

    def program(self, name: str) -> Path:
        path = self.package / "bin" / name
        if not path.is_file():
            raise TrialError(f"{path}: is not there: the build was made without it")
        return path

    @property
    def test_folder(self) -> Path:
        """Where upstream's tests find their data."""
        folders = (self.package / "share" / "caffe-acu" / "tests", self.package / "caffe", self.package)
        return next(folder for folder in folders if folder.is_dir())

    def under_tool(self, tool: list[str], program: str) -> list[str]:
        """The command that runs a program under another one, which must not be handed a shell script."""
        direct = self.package / "libexec" / program
        if direct.is_file():
            return [str(self.program("caffe-acu-env")), *tool, str(direct)]
        return [*tool, str(self.program(program))]


def open_kit(out: Path, package: Path | None, images: Path | None) -> Kit:
    """Unpacks what is packed, below ``out``, and makes everything importable; TrialError if something is missing."""
    about = _about()
    if package is None:
        package = _unpack_package(out)
    package = package.resolve()
    if not (package / "bin" / "caffe").exists():
        raise TrialError(f"{package}: has no bin/caffe: give --package the relocatable folder or a build tree")
    ours = _HERE if about else _HERE.parents[1]
    sys.path[:0] = [str(folder) for folder in (ours / "benchmarks", ours / "python", package / "python")]
    site = out / "kit" / "site"
    _add_missing_packages(about, site)
    if images is None and "images" in about:
        images = _HERE / str(about["images"])
    return Kit(package, images.resolve() if images else None, site, about)


def _about() -> dict[str, object]:
    path = _HERE / KIT_FILE
    return json.loads(path.read_text()) if path.is_file() else {}


def _unpack_package(out: Path) -> Path:
    archive = _HERE / "package.tar.xz"
    if not archive.is_file():
        raise TrialError(f"{archive}: is not there: make a kit with make_kit.sh, or give --package")
    folder = out / "kit" / "package"
    stamp = out / "kit" / "package.unpacked"
    size = str(archive.stat().st_size)
    if not (stamp.is_file() and stamp.read_text() == size):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with tarfile.open(archive) as tar:
            # From Python 3.14 on the default would refuse absolute links; before 3.11.4 there is no choice.
            tar.extraction_filter = getattr(tarfile, "tar_filter", lambda member, path: member)
            tar.extractall(folder)
        stamp.write_text(size)
    return next(folder.glob("*/bin/caffe"), folder / "package" / "bin" / "caffe").parents[1]


def _add_missing_packages(about: dict[str, object], site: Path) -> None:
    """Installed packages are taken as they are; of the others the carried wheels are unpacked."""
    wheels = about.get("wheels", {})
    assert isinstance(wheels, dict)
    for module, wheel in wheels.items():
        if not _is_there(module) and not (site / module.replace(".", "/")).exists():
            with zipfile.ZipFile(_HERE / "wheels" / wheel) as file:
                file.extractall(site)
    if site.is_dir():
        sys.path.append(str(site))  # behind what is installed
        importlib.invalidate_caches()
    needed = {
        "numpy": "numpy",
        "PIL": "pillow",
        "lmdb": "lmdb",
        "google.protobuf": "protobuf",
        "six": "six",
        "tqdm": "tqdm",
    }
    missing = [package for module, package in needed.items() if not _is_there(module)]
    if missing:
        raise TrialError(
            f"missing Python packages: {', '.join(missing)}: install them, or carry their wheels in the kit"
        )


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it
        return False
