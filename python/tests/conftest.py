"""Fixtures for all tests."""

import os
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("GLOG_minloglevel", "2")  # Caffe's chatter


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the authors' weights and real images; without it the test is skipped."""
    folder = os.environ.get("CAFFE_ACU_SHARED")
    if not folder:
        pytest.skip("CAFFE_ACU_SHARED is not set: no authors' weights and no real images")
    return Path(folder)


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Path:
    """A source of pictures without damages; not to be changed."""
    from picture_sources import class_tree  # the imports take a second, which other tests need not wait
    from pictures_run import COUNT

    folder = tmp_path_factory.mktemp("whole") / "source"
    class_tree(folder, COUNT)
    return folder


@pytest.fixture(scope="session")
def wanted(whole) -> dict[str, Any]:
    """What an uninterrupted build of it holds."""
    from pictures_run import contents_of, prepare

    prepare(whole, whole.parent / "out")
    return contents_of(whole.parent / "out")
