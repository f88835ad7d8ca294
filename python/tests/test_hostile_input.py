"""What fuzzing runs for hours (scripts/fuzz.sh), on its seeds and on the inputs that once were too much for it."""

import resource
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[1] / "fuzz"
sys.path.insert(0, str(FUZZ))
from fuzz_guard import guarded  # noqa: E402
from fuzz_seeds import write_seeds  # noqa: E402
from fuzz_targets import TARGETS  # noqa: E402

KEPT = sorted(path for path in (FUZZ / "regressions").glob("*/*"))
_MEMORY = 2 << 30  # bytes beside those that the process has


@pytest.fixture
def folder(tmp_path):
    """An empty one, outside of which nothing may be written; memory is short meanwhile."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY, before[1]))
    (tmp_path / "in").mkdir()
    with guarded(tmp_path):
        yield tmp_path / "in"
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("target", TARGETS)
def test_seeds(target, tmp_path, folder):
    write_seeds(target, tmp_path / "seeds")
    for i, seed in enumerate(sorted((tmp_path / "seeds").iterdir())):
        contents = seed.read_bytes()
        for j, part in enumerate((contents, contents[: len(contents) // 2], contents[:-1], b"")):
            place = folder / f"{i}_{j}"
            place.mkdir()
            TARGETS[target](part, place)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_once_was_too_much(path, folder):
    TARGETS[path.parent.name](path.read_bytes(), folder)
