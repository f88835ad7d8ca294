"""Caffe's protobuf messages, ours included, without loading libcaffe.

``from caffe_acu.caffe_proto import caffe_pb2`` gives the same module object as ``caffe.proto.caffe_pb2``,
whichever is imported first, so messages can be handed to pycaffe.
"""

import sys
from pathlib import Path

from caffe_acu import pycaffe


def _find() -> Path:
    for folder in sys.path:
        path = Path(folder) / "caffe" / "proto" / "caffe_pb2.py"
        if path.is_file():
            return path
    raise ImportError(
        "caffe/proto/caffe_pb2.py is not on sys.path: build Caffe first (scripts/setup.sh), or add the "
        "build's python folder to PYTHONPATH"
    )


caffe_pb2 = pycaffe.load("caffe.proto.caffe_pb2", _find)


def build_folder() -> Path:
    """The build tree or relocatable folder that the messages in use are from: it has ``bin`` and ``python``."""
    return Path(caffe_pb2.__file__).resolve().parents[3]
