"""pycaffe without a line in the log for every layer."""

import os
from types import ModuleType


def import_caffe() -> ModuleType:
    """``import caffe``; it logs errors only, unless GLOG_minloglevel says otherwise."""
    os.environ.setdefault("GLOG_minloglevel", "2")  # read when Caffe is loaded
    import caffe

    return caffe
