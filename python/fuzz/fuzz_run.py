"""Fuzzes a target with Atheris: fuzz_run.py TARGET [options and folders of libFuzzer]. See scripts/fuzz.sh."""

import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path

import atheris
import scipy.io  # noqa: F401  # read_val_labels imports it late, which would count as its time

with atheris.instrument_imports(include=["caffe_acu", "tarfile", "fuzz_archives"]):
    from fuzz_targets import TARGETS

from fuzz_guard import guarded

_MEMORY = 4 << 30  # bytes of addresses; what is asked for beyond them is a MemoryError, which no target allows


def main() -> None:
    target = TARGETS[sys.argv[1]]
    place = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="caffe-acu-fuzz-", dir=place))

    def test_one(data: bytes) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        with guarded(folder):
            target(data, folder)

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    # Readers show how far they are, which nobody looks at here; Atheris, past Python, what was found.
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # until the end
    atheris.Setup(sys.argv[:1] + sys.argv[2:], test_one)
    try:
        atheris.Fuzz()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
