"""pycaffe's NetSpec, without loading libcaffe: networks are generated where pycaffe cannot be imported, too.

``from caffe_acu.net_spec import NetSpec, Top, layers, params`` gives the same objects as ``caffe.net_spec``.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from caffe_acu.caffe_proto import caffe_pb2

_NAME, _PROTO = "caffe.net_spec", "caffe.proto"


def _load() -> ModuleType:
    # `import caffe.net_spec` would import the package `caffe`, and with it libcaffe, first. The module asks for
    # `.proto`, and that too is answered without the package.
    if _NAME in sys.modules:
        return sys.modules[_NAME]
    path = Path(caffe_pb2.__file__).parents[1] / "net_spec.py"
    spec = importlib.util.spec_from_file_location(_NAME, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    stand_in = ModuleType(_PROTO)
    stand_in.caffe_pb2 = caffe_pb2  # type: ignore[attr-defined]
    proto = sys.modules.setdefault(_PROTO, stand_in)
    try:
        spec.loader.exec_module(module)
    finally:
        if proto is stand_in:
            del sys.modules[_PROTO]
    return sys.modules.setdefault(_NAME, module)


_module = _load()
NetSpec, Top, layers, params = _module.NetSpec, _module.Top, _module.layers, _module.params
