"""Trained layers of Caffe read, and layers of PyTorch written, as caffemodels. Needs the messages of a built Caffe."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from caffe_acu.active_layer import (
    ACONV_FAST,
    ACTIVE_TYPES,
    AT_ORIGIN,
    ActiveLayer,
    aconv_param,
    check_division,
    label,
    read_active_layer,
    read_spatial,
)
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError, naming
from caffe_acu.kernels import statistics
from caffe_acu.net_param import blob_array, read_net, set_blob, write_atomically
from caffe_acu.torch.active_conv2d import ActiveConv2d

_WEIGHT, _BIAS, _X, _Y = range(4)  # blobs


def from_caffe(
    path: str | Path, layer: str, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
) -> ActiveConv2d:
    """The active convolution of that name in a caffemodel, with its settings, weights and positions.

    An ACU, a GroupedACU, or an AConvFast of one position set; of several it is none, since they divide its outputs.
    Explicit positions start, should they be reset, where they were learned; others on the lattice.

    UserError, which names file and layer: an unreadable file, no such layer, several sets of an AConvFast, blobs that
    do not fit the description, numbers that are not finite.
    """
    net = read_net(path)  # names the file itself
    with naming(path):
        description = _find(net, layer)
        with naming(label(description)):
            return _read(description, device, dtype)


def load_caffemodel(module: ActiveConv2d, path: str | Path, layer: str) -> None:
    """Gives ``module`` weights and positions of that layer of a caffemodel; errors as :func:`from_caffe`.

    UserError also if the layer there is another: channels, kernel, stride, padding, groups, position sets or bias.
    """
    loaded = from_caffe(path, layer, dtype=module.weight.dtype)
    for what, here, there in _geometries(module, loaded):
        if here != there:
            raise UserError(f"{path}: layer {layer!r}: {what} {there}; the module has {here}")
    module.load_state_dict(loaded.state_dict())


def save_caffemodel(path: str | Path, module: nn.Module) -> None:
    """Writes the active convolutions in ``module``, each under its name in it, as a caffemodel of ACUs and GroupedACUs.

    There are no other layers in it: it is for what shows positions and kernels, and for Caffe, which takes weights by
    the names of layers. UserError if there is none, if padding is not the same on both sides, which Caffe's is, or if
    the file cannot be written.
    """
    net = caffe_pb2.NetParameter()
    with naming(path):
        for name, layer in module.named_modules():
            if isinstance(layer, ActiveConv2d):
                _describe(layer, net.layer.add(name=name or "layer"))
        if not net.layer:
            raise UserError("not written: there is no ActiveConv2d in the module")
    write_atomically(path, net.SerializeToString())


def _find(net: "caffe_pb2.NetParameter", name: str) -> "caffe_pb2.LayerParameter":
    active = [layer for layer in net.layer if layer.type in ACTIVE_TYPES and layer.blobs]
    for layer in active:
        if layer.name == name:
            return layer
    there = ", ".join(layer.name for layer in active) or "none; a caffemodel has them"
    raise UserError(f"no active convolution {name!r} with weights; there are {there}")


def _read(
    description: "caffe_pb2.LayerParameter", device: torch.device | str | None, dtype: torch.dtype | None
) -> ActiveConv2d:
    active = read_active_layer(description)
    if active.sets_slice_outputs and active.sets > 1:
        raise UserError(
            f"its {active.sets} position sets divide the outputs, an ActiveConv2d's the inputs; "
            "caffe-acu convert conv makes a plain convolution of it"
        )
    weight, bias, x, y = _arrays(description, active)
    channels = weight.shape[1] * active.groups
    check_division(description, active, channels)
    positions = torch.from_numpy(np.stack([x, y], axis=-1)).reshape(active.sets, active.synapses, 2)
    of_acu = description.acu_param
    explicit = bool(of_acu.position)
    normalize, learn = of_acu.normalize_gradient, of_acu.learn_positions
    if description.type == ACONV_FAST:
        explicit = aconv_param(description).type != caffe_pb2.AConvParameter.SQUARE
        normalize, learn = aconv_param(description).normalize, True
    if explicit:
        shape = {"positions": positions}
        weight = weight.reshape(*weight.shape[:2], 1, -1)
    else:
        shape = {"kernel_size": active.kernel, "dilation": read_spatial(description).dilation}
    module = ActiveConv2d(
        channels,
        len(weight),
        stride=active.stride,
        padding=active.pad,
        groups=active.groups,
        bias=description.convolution_param.bias_term,
        position_groups=active.sets,
        position_noise=of_acu.position_noise,
        fixed_synapse=None if active.fixed_rule == AT_ORIGIN else active.fixed_rule,
        learn_positions=learn,
        normalize_gradient=normalize,
        warmup_iterations=active.warmup_iter,
        device=device,
        dtype=dtype,
        **shape,
    )
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(weight))
        module.positions.copy_(positions)
        if module.bias is not None:
            module.bias.copy_(torch.from_numpy(bias))
    return module


def _arrays(description: "caffe_pb2.LayerParameter", active: ActiveLayer) -> list[np.ndarray]:
    if len(description.blobs) != 4:
        raise UserError(f"{len(description.blobs)} blobs; weight, bias, x and y make 4")
    arrays = [blob_array(blob) for blob in description.blobs]
    outputs, of_sets = description.convolution_param.num_output, (active.sets, 1, *active.kernel)
    per_group = arrays[_WEIGHT].shape[1] if arrays[_WEIGHT].ndim == 4 else 0
    bias = (outputs,) if description.convolution_param.bias_term else (1, 1, 1, 1)
    wanted = ((outputs, per_group, *active.kernel), bias, of_sets, of_sets)
    for i, (array, shape) in enumerate(zip(arrays, wanted, strict=True)):
        # The bias of before 2014 has four axes.
        if array.shape != shape and not (i == _BIAS and array.size == outputs == shape[0]):
            raise UserError(f"blob {i} has shape {array.shape}, not {shape}")
    if not all(np.isfinite(array).all() for array in arrays[:_X]):
        raise UserError("weights that are not finite: the training diverged; take an earlier iteration")
    statistics(*arrays[_X:])  # refuses positions that are not finite, or out of all proportion
    return [arrays[_WEIGHT], arrays[_BIAS].ravel(), arrays[_X], arrays[_Y]]


def _geometries(module: ActiveConv2d, loaded: ActiveConv2d) -> list[tuple[str, object, object]]:
    names = (
        "in_channels",
        "out_channels",
        "kernel_size",
        "explicit_positions",
        "stride",
        "dilation",
        "groups",
        "position_groups",
    )
    compared = [(name, getattr(module, name), getattr(loaded, name)) for name in names]
    biases = (layer.bias is not None for layer in (module, loaded))
    return [*compared, ("bias", *biases), ("padding", module.geometry.pad, loaded.geometry.pad)]


def _describe(module: ActiveConv2d, layer: "caffe_pb2.LayerParameter") -> None:
    grouped = (module.groups, module.position_groups) != (1, 1)
    layer.type = "GroupedACU" if grouped else "ACU"
    convolution, acu = layer.convolution_param, layer.acu_param
    convolution.num_output, convolution.bias_term = module.out_channels, module.bias is not None
    convolution.stride_h, convolution.stride_w = module.stride
    (above, below), (left, right) = module.geometry.pad
    if above != below or left != right:
        raise UserError(f"{label(layer)}: padding {module.padding!r} of an even kernel is not the same on both sides")
    convolution.pad_h, convolution.pad_w = above, left
    positions = module.positions.detach().cpu()
    positions = (positions if positions.dtype == torch.float64 else positions.float()).numpy()
    if module.explicit_positions:
        for x, y in positions[0]:  # a number of them; the blobs have those of all sets
            acu.position.add(x=x, y=y)
    else:
        convolution.kernel_h, convolution.kernel_w = module.kernel_size
        convolution.dilation.extend(module.dilation)
    if grouped:
        convolution.group, acu.position_group = module.groups, module.position_groups
    if module.fixed_synapse is not None:
        acu.fixed_synapse = module.fixed_synapse
    acu.learn_positions, acu.normalize_gradient = module.learn_positions, module.normalize_gradient
    acu.warmup_iter, acu.position_noise = module.warmup_iterations, module.position_noise
    bias = np.zeros((1, 1, 1, 1), np.float32) if module.bias is None else _array(module.bias)
    x, y = (positions[..., i].reshape(-1, 1, *module.kernel_size) for i in (0, 1))
    for values in (_array(module.weight), bias, x, y):
        set_blob(layer.blobs.add(), values)


def _array(parameter: torch.Tensor) -> np.ndarray:
    values = parameter.detach().cpu()
    return (values if values.dtype == torch.float64 else values.float()).numpy()
