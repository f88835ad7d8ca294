"""Caffe's protobuf messages, ours included, without loading libcaffe.

``from caffe_acu.caffe_proto import caffe_pb2`` gives the same module object as ``caffe.proto.caffe_pb2``,
whichever is imported first, so messages can be handed to pycaffe.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_NAME = "caffe.proto.caffe_pb2"


def _find() -> Path:
    for folder in sys.path:
        path = Path(folder) / "caffe" / "proto" / "caffe_pb2.py"
        if path.is_file():
            return path
    raise ImportError(
        "caffe/proto/caffe_pb2.py is not on sys.path: build Caffe first (scripts/setup.sh), or add the "
        "build's python folder to PYTHONPATH"
    )


def _load() -> ModuleType:
    # `import caffe.proto.caffe_pb2` would import the package `caffe`, and with it libcaffe, first.
    if _NAME not in sys.modules:
        spec = importlib.util.spec_from_file_location(_NAME, _find())
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[_NAME] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[_NAME]
            raise
    return sys.modules[_NAME]


caffe_pb2 = _load()


def build_folder() -> Path:
    """The build tree or relocatable folder that the messages in use are from: it has ``bin`` and ``python``."""
    return Path(caffe_pb2.__file__).resolve().parents[3]
