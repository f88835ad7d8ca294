"""A network's convolutions as ACUs that start as these convolutions: the same outputs, positions to be learned.

Nothing is permuted: weights of both are in raster order. Works on any prototxt and on a caffemodel of its weights.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffe_acu.active_layer import ACU, GROUPED_ACU, ActiveLayer, check_division, label, read_active_layer
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.convert.graph import input_channels
from caffe_acu.convert.options import Choice, PositionOptions
from caffe_acu.convert.selection import CONVOLUTION, select
from caffe_acu.errors import UserError, naming
from caffe_acu.net_param import (
    blob_array,
    blob_shapes,
    format_prototxt,
    read_net,
    read_prototxt,
    refuse_overwriting,
    set_blob,
    write_together,
)

_WEIGHT, _BIAS, _X, _Y = range(4)


@dataclass(frozen=True)
class Activated:
    """A convolution that has become active."""

    name: str
    type: str  # ACU or GroupedACU
    kernel: tuple[int, int]
    sets: int
    coordinates: int  # that learn: 2 (K - 1) for each position set (GACU, equation 7); 0 where the owner has them
    positions_of: str | None = None  # the layer whose positions it shares
    weights_of: str | None = None  # a layer that shares its weights and stays a convolution


@dataclass(frozen=True)
class Activation:
    layers: list[Activated]
    left: dict[str, str]  # convolutions that stay, and why

    @property
    def coordinates(self) -> int:
        return sum(layer.coordinates for layer in self.layers)


@dataclass(frozen=True)
class Files:
    """What is read and written; the weights are None or both given."""

    net: Path
    out: Path
    weights: Path | None = None
    out_weights: Path | None = None

    def __post_init__(self) -> None:
        if (self.weights is None) != (self.out_weights is None):
            raise UserError("--weights and --out-weights belong together; one is missing")
        refuse_overwriting(filter(None, (self.net, self.weights)), filter(None, (self.out, self.out_weights)))


def activate_files(files: Files, choice: Choice, positions: PositionOptions, comment: str) -> Activation:
    """Reads, converts and writes; ``comment`` is the head of the prototxt.

    UserError names the file that is wrong; then none is written.
    """
    net = read_prototxt(files.net)
    with naming(files.net):
        activation = activate(net, choice, positions)
    contents: dict[Path, str | bytes] = {files.out: format_prototxt(net, comment)}
    if files.weights and files.out_weights:
        weights = read_net(files.weights)
        with naming(files.weights):
            activate_weights(weights, net, [layer.name for layer in activation.layers])
        contents[files.out_weights] = weights.SerializeToString()
    write_together(contents)
    return activation


def activate(net: "caffe_pb2.NetParameter", choice: Choice, positions: PositionOptions) -> Activation:
    """Turns the chosen convolutions of ``net`` into ACUs, in place, in every phase that describes them.

    Layers that share their weights by name are the same function of different bottoms; they stay one, and share
    positions too, where these start from the same lattice. UserError if nothing is chosen, or for a layer that
    Caffe would refuse.
    """
    selection = select(net, choice)
    channels = input_channels(net)
    chosen = []
    for layer, read in zip(net.layer, channels, strict=True):
        if layer.type == CONVOLUTION and layer.name in selection.chosen:
            _to_acu(layer, positions)
            active = read_active_layer(layer)
            if read is not None:
                check_division(layer, active, read)
            chosen.append((layer, active))
    owners = _share_positions(net, chosen)
    staying = [layer for layer in net.layer if layer.type == CONVOLUTION and layer.param]
    convolutions = {layer.param[_WEIGHT].name: layer.name for layer in staying if layer.param[_WEIGHT].name}
    activated = {
        layer.name: Activated(
            name=layer.name,
            type=layer.type,
            kernel=active.kernel,
            sets=active.sets,
            coordinates=0 if layer.name in owners else 2 * (active.synapses - 1) * active.sets,
            positions_of=owners.get(layer.name),
            weights_of=convolutions.get(layer.param[_WEIGHT].name),
        )
        for layer, active in chosen
    }
    return Activation(list(activated.values()), selection.left)


def activate_weights(weights: "caffe_pb2.NetParameter", net: "caffe_pb2.NetParameter", names: list[str]) -> None:
    """Gives these layers of a caffemodel, in place, the description in ``net`` and the blobs that an ACU has more.

    The convolution's blobs stay as they are; a bias of a single zero is added where there was none, and x and y
    (sets, 1, kh, kw), in pixels, at their start. UserError for a layer that is missing or has other shapes.
    """
    described = {layer.name: (layer, read) for layer, read in zip(net.layer, input_channels(net), strict=True)}
    stored = {layer.name: layer for layer in weights.layer}
    for name in names:
        if name not in stored:
            raise UserError(f"no layer is called {name!r}; take weights of this network, or leave it out with --except")
        layer, (description, channels) = stored[name], described[name]
        _add_blobs(layer, description, channels)
        layer.type = description.type
        layer.convolution_param.CopyFrom(description.convolution_param)
        layer.acu_param.CopyFrom(description.acu_param)
        del layer.param[:]
        layer.param.extend(description.param)


def _to_acu(layer: "caffe_pb2.LayerParameter", positions: PositionOptions) -> None:
    conv = layer.convolution_param
    _add_params(layer, positions)
    conv.ClearField("engine")  # these two choose between implementations of a convolution
    conv.ClearField("force_nd_im2col")
    sets = positions.sets or conv.group
    layer.type = GROUPED_ACU if max(conv.group, sets) > 1 else ACU
    layer.ClearField("acu_param")
    if sets != conv.group:
        layer.acu_param.position_group = sets
    layer.acu_param.warmup_iter = positions.warmup_iter


def _add_params(layer: "caffe_pb2.LayerParameter", positions: PositionOptions) -> None:
    blobs = 1 + layer.convolution_param.bias_term
    if len(layer.param) > blobs:
        raise UserError(f"{label(layer)}: {len(layer.param)} param blocks, but {blobs} blob(s); Caffe refuses it, too")
    while len(layer.param) < blobs:
        layer.param.add(lr_mult=1, decay_mult=1)  # Caffe's rates where none are given
    if not layer.convolution_param.bias_term:
        layer.param.add(lr_mult=0, decay_mult=0)
    for _ in (_X, _Y):
        layer.param.add(lr_mult=positions.lr_mult, decay_mult=0)


def _share_positions(
    net: "caffe_pb2.NetParameter", chosen: list[tuple["caffe_pb2.LayerParameter", ActiveLayer]]
) -> dict[str, str]:
    """Names the positions of layers that share weights; returns for each that shares them the first that has them."""
    families = defaultdict(list)
    for layer, active in chosen:
        if layer.param[_WEIGHT].name:
            start = (active.sets, active.kernel, tuple(active.start_x), tuple(active.start_y))
            families[layer.param[_WEIGHT].name, start].append(layer)
    taken = {param.name for layer in net.layer for param in layer.param}
    owners = {}
    for (weight, _), family in families.items():
        others = {layer.name for layer in family} - {family[0].name}
        if not others:
            continue
        for blob, axis in ((_X, "x"), (_Y, "y")):
            name = f"{weight}_{axis}"
            while name in taken:
                name += "_"
            taken.add(name)
            for layer in family:
                layer.param[blob].name = name
        owners.update(dict.fromkeys(others, family[0].name))
    return owners


def _add_blobs(
    layer: "caffe_pb2.LayerParameter", description: "caffe_pb2.LayerParameter", channels: int | None
) -> None:
    active = read_active_layer(description)
    _check_blobs(layer, description, active, channels)
    weight = blob_array(layer.blobs[_WEIGHT])
    check_division(description, active, weight.shape[1] * active.groups)
    if len(layer.blobs) == _BIAS:
        set_blob(layer.blobs.add(), np.zeros((1, 1, 1, 1), weight.dtype))
    for start in (active.start_x, active.start_y):
        sets = np.tile(start, (active.sets, 1)).reshape(active.sets, 1, *active.kernel)
        set_blob(layer.blobs.add(), sets.astype(weight.dtype))


def _check_blobs(
    layer: "caffe_pb2.LayerParameter",
    description: "caffe_pb2.LayerParameter",
    active: ActiveLayer,
    channels: int | None,
) -> None:
    """UserError unless the layer has the blobs of the convolution that became active."""
    outputs, bias = description.convolution_param.num_output, description.convolution_param.bias_term
    shapes = blob_shapes(layer)
    if layer.type != CONVOLUTION or len(shapes) != 1 + bias:
        raise UserError(f"{label(layer)}: {len(shapes)} blob(s); the network has a {CONVOLUTION} with {1 + bias} there")
    weight = shapes[_WEIGHT][0]
    inputs = channels // active.groups if channels else "any"
    expected = (outputs, weight[1] if inputs == "any" and len(weight) == 4 else inputs, *active.kernel)
    if weight != expected:
        shown = ", ".join(map(str, (outputs, inputs, *active.kernel)))
        raise UserError(f"{label(layer)}: weights of shape {weight}; the network's are ({shown})")
    if bias and shapes[_BIAS] not in (((outputs,), False), ((1, 1, 1, outputs), True)):
        raise UserError(f"{label(layer)}: bias of shape {shapes[_BIAS][0]}; the network's is ({outputs},)")
