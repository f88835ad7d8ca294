"""Fixtures for all tests."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("GLOG_minloglevel", "2")  # Caffe's chatter


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the authors' weights and real images; without it the test is skipped."""
    folder = os.environ.get("CAFFE_ACU_SHARED")
    if not folder:
        pytest.skip("CAFFE_ACU_SHARED is not set: no authors' weights and no real images")
    return Path(folder)
