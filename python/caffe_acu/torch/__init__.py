"""Active convolution units as modules of PyTorch.

    layer = ActiveConv2d(16, 32, 3, padding=1)                                # in place of nn.Conv2d
    optimizer = torch.optim.SGD(parameter_groups(net, lr=0.1), momentum=0.9)  # positions: a rate of their own
    register_position_step(net, optimizer)                                    # normalized gradient, warm-up

Needs PyTorch, which nothing else here does, and no build of Caffe: only ``caffe_acu.torch.caffemodel`` does, which
reads and writes its files.
"""

try:
    import torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ImportError("caffe_acu.torch needs PyTorch, which is not there: pip install 'caffe-acu[torch]'") from None

from caffe_acu.torch.active_conv2d import ActiveConv2d
from caffe_acu.torch.functional import Geometry, active_conv2d
from caffe_acu.torch.position_step import (
    normalize_position_gradients,
    parameter_groups,
    position_parameters,
    register_position_step,
)

__all__ = [
    "ActiveConv2d",
    "Geometry",
    "active_conv2d",
    "normalize_position_gradients",
    "parameter_groups",
    "position_parameters",
    "register_position_step",
]
