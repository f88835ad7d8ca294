"""pycaffe without a line in the log for every layer."""

import os
import tempfile
from types import ModuleType
from typing import Any

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.net_param import format_prototxt


def import_caffe() -> ModuleType:
    """``import caffe``; it logs errors only, unless GLOG_minloglevel says otherwise."""
    os.environ.setdefault("GLOG_minloglevel", "2")  # read when Caffe is loaded
    import caffe

    return caffe


def load_net(net: "caffe_pb2.NetParameter") -> Any:
    """A ``caffe.Net`` of a message, in its test phase, on the processor that is set."""
    caffe = import_caffe()
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt", encoding="utf-8") as file:
        file.write(format_prototxt(net))
        file.flush()
        return caffe.Net(file.name, caffe.TEST)
