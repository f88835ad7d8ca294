"""pycaffe's NetSpec, without loading libcaffe: networks are generated where pycaffe cannot be imported, too.

``from caffe_acu.net_spec import NetSpec, Top, layers, params`` gives the same objects as ``caffe.net_spec``.
"""

from pathlib import Path

from caffe_acu import pycaffe
from caffe_acu.caffe_proto import caffe_pb2


def _find() -> Path:
    return Path(caffe_pb2.__file__).parents[1] / "net_spec.py"


_module = pycaffe.load("caffe.net_spec", _find)
NetSpec, Top, layers, params = _module.NetSpec, _module.Top, _module.layers, _module.params
