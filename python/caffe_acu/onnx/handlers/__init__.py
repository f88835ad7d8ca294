"""What layers of each type are in ONNX: a small function per type that writes nodes.

``write`` writes a layer; ``with_affine`` joins layers that are one operator; ``MIXES_IMAGES`` tells of which layers
the number of images cannot be left open.
"""

from caffe_acu.onnx.handlers import (  # noqa: F401
    arranging,
    convolutions,
    deformable,
    elementwise,
    normalising,
    pooling,
    products,
)
from caffe_acu.onnx.handlers.normalising import with_affine
from caffe_acu.onnx.handlers.registry import MIXES_IMAGES, write

__all__ = ["MIXES_IMAGES", "with_affine", "write"]
