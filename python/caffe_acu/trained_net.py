"""A trained network as it leaves a training: its deploy prototxt and its caffemodel, checked against each other.

What Caffe would refuse is found here first, and told with the file that it is in.
"""

import importlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caffe_acu.active_layer import ACTIVE_TYPES, check_division, label, read_active_layer
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.convert.graph import input_channels
from caffe_acu.counts.network import UnknownShape, count_network
from caffe_acu.errors import UserError, naming
from caffe_acu.kernels import statistics
from caffe_acu.net_param import (
    blob_array,
    blob_shapes,
    in_test_phase,
    input_shapes,
    read_net,
    read_prototxt,
    set_blob,
)
from caffe_acu.quiet_caffe import import_caffe, load_net

_WITHOUT_BOTTOMS = ("Input", "DummyData", "Parameter")
_OF_PHASES = ("include", "exclude", "phase", "loss_weight")
_POSITIONS = slice(2, 4)  # of the blobs of an active layer: x and y, in pixels


@dataclass(frozen=True)
class TrainedNet:
    """A network with its weights.

    Attributes:
        net: as it is deployed: the layers of the test phase, Input layers with shapes, no blobs.
        blobs: for each layer that has any its arrays, in the shapes of the network; float64 where doubles are stored.
        net_path, weights_path: for messages.
    """

    net: "caffe_pb2.NetParameter"
    blobs: Mapping[str, Sequence[np.ndarray]]
    net_path: Path
    weights_path: Path


def read_trained(net: Path, weights: Path) -> TrainedNet:
    """Reads a deploy prototxt and a caffemodel of its weights; needs libcaffe.

    UserError, which names file and layer: a file that cannot be read, a layer type that this Caffe does not have, a
    network that reads data, weights of another network, numbers that are not finite, positions out of all proportion.
    """
    deployed, trained = read_deploy(net), read_net(weights)
    shapes = {name: [tuple(blob.shape) for blob in blobs] for name, blobs in _load(deployed).params.items()}
    with naming(net):
        _require_own_names(deployed, shapes)
    check_weights(shapes, trained, weights)
    stored = {layer.name: layer for layer in trained.layer}
    with naming(weights):
        blobs = {name: _arrays(stored[name], of_layer) for name, of_layer in shapes.items()}
        blobs = _as_shared(deployed, blobs, [layer.name for layer in trained.layer])
        for layer in deployed.layer:
            _check_numbers(layer, blobs.get(layer.name, []))
    return TrainedNet(deployed, blobs, net, weights)


def read_deploy(net: Path) -> "caffe_pb2.NetParameter":
    """Reads a network as it is deployed; see TrainedNet.net. UserError as far as it is :func:`read_trained`'s."""
    described = read_prototxt(net)
    with naming(net):
        deployed = _deployed(described)
        try:
            count_network(deployed)  # finds blobs that are missing, and sizes that do not fit
        except UnknownShape as error:
            raise UserError(f"{error.what}; give the network up to there, and the rest as another") from error
        for layer, channels in zip(deployed.layer, input_channels(deployed), strict=True):
            if layer.type in ACTIVE_TYPES and channels is not None:
                check_division(layer, read_active_layer(layer), channels)
    return deployed


def caffe_net(net: "caffe_pb2.NetParameter", blobs: Mapping[str, Sequence[np.ndarray]]) -> Any:
    """A ``caffe.Net`` in its test phase, on the CPU, with these weights; shapes must be those of the network."""
    loaded = _load(net)
    for name, values in blobs.items():
        for blob, array in zip(loaded.params[name], values, strict=True):
            blob.data[...] = array
    return loaded


def weights_message(
    net: "caffe_pb2.NetParameter", blobs: Mapping[str, Sequence[np.ndarray]]
) -> "caffe_pb2.NetParameter":
    """The content of a caffemodel: the network with its blobs, in single precision unless they are float64."""
    message = caffe_pb2.NetParameter()
    message.CopyFrom(net)
    for layer in message.layer:
        for array in blobs.get(layer.name, ()):
            set_blob(layer.blobs.add(), array)
    return message


def check_weights(
    wanted: Mapping[str, Sequence[tuple[int, ...]]], trained: "caffe_pb2.NetParameter", weights: Path
) -> None:
    """UserError, which names ``weights``, unless ``trained`` has blobs of the ``wanted`` shapes for every layer."""
    found = {layer.name: blob_shapes(layer) for layer in trained.layer if layer.blobs}
    advice = "are these the weights of this network?"
    missing = [name for name in wanted if name not in found]
    if missing:
        others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(f"{weights}: has no weights for layer {missing[0]!r}{others}: {advice}")
    for name, shapes in wanted.items():
        if len(shapes) != len(found[name]):
            raise UserError(
                f"{weights}: layer {name!r} has {len(found[name])} blobs there, {len(shapes)} in the network: {advice}"
            )
        for i, (shape, there) in enumerate(zip(shapes, found[name], strict=True)):
            if not _same(shape, *there):
                raise UserError(
                    f"{weights}: blob {i} of layer {name!r} has shape {there[0]} there, {shape} in the network: "
                    f"{advice}"
                )


def _same(shape: tuple[int, ...], stored: tuple[int, ...], legacy: bool) -> bool:
    # Blobs of before 2014 always had four axes, with ones in front; Caffe compares them from the end.
    return stored == shape or (legacy and len(shape) <= 4 and stored == (1,) * (4 - len(shape)) + shape)


def _deployed(net: "caffe_pb2.NetParameter") -> "caffe_pb2.NetParameter":
    """The layers of the test phase, without what only a training reads."""
    caffe = import_caffe()
    known = set(caffe.layer_type_list())
    deployed = caffe_pb2.NetParameter(name=net.name)
    for name, shape in zip(net.input, _declared_shapes(net), strict=True):  # from before there were Input layers
        source = deployed.layer.add(name=name, type="Input", top=[name])
        source.input_param.shape.append(shape)
    for layer in net.layer:
        if not in_test_phase(layer, net.state):
            continue
        if layer.type not in known:
            raise UserError(f"{label(layer)}: this Caffe has no layer of that type")
        if not layer.bottom and layer.type not in _WITHOUT_BOTTOMS:
            raise UserError(f"{label(layer)} reads data, which are not needed here; give the deploy network")
        if layer.type == "Input" and not layer.input_param.shape:
            raise UserError(f"{label(layer)}: no shape; add input_param {{ shape {{ dim: .. }} }}")
        if layer.type == "HDF5Output":
            raise UserError(f"{label(layer)} would write a file; leave it out")
        if layer.type == "Python":
            _require_python(layer)
        copy = deployed.layer.add()
        copy.CopyFrom(layer)
        del copy.blobs[:]
        for field in _OF_PHASES:
            copy.ClearField(field)
    _require_one_maker(deployed)
    return deployed


def _declared_shapes(net: "caffe_pb2.NetParameter") -> list["caffe_pb2.BlobShape"]:
    """One for each of ``net.input``."""
    shapes = input_shapes(net)
    if len(shapes) == 1:
        shapes *= len(net.input)
    if len(shapes) != len(net.input):
        raise UserError(f"{len(net.input)} input(s), but {len(shapes)} shape(s); add input_shape for each")
    return shapes


def _require_python(layer: "caffe_pb2.LayerParameter") -> None:
    """UserError if the class of a Python layer is not there; Caffe would print a traceback."""
    param = layer.python_param
    try:
        getattr(importlib.import_module(param.module), param.layer)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{label(layer)}: {param.module}.{param.layer} cannot be imported ({reason}); is its folder in PYTHONPATH?"
        ) from error


def _require_one_maker(net: "caffe_pb2.NetParameter") -> None:
    makers: dict[str, str] = {}
    for layer in net.layer:
        for top in set(layer.top) - set(layer.bottom):
            if top in makers:
                raise UserError(f"{label(layer)}: its top {top!r} is made by layer {makers[top]!r} already")
            makers[top] = layer.name


def _require_own_names(net: "caffe_pb2.NetParameter", with_weights: Collection[str]) -> None:
    times = Counter(layer.name for layer in net.layer)
    for name in with_weights:
        if times[name] > 1:
            raise UserError(f"{times[name]} layers are called {name!r}; weights are found by the names of layers")


def _load(net: "caffe_pb2.NetParameter") -> Any:
    import_caffe().set_mode_cpu()
    return load_net(net)


def _arrays(layer: "caffe_pb2.LayerParameter", shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    with naming(label(layer)):
        return [blob_array(blob).reshape(shape) for blob, shape in zip(layer.blobs, shapes, strict=True)]


def _as_shared(
    net: "caffe_pb2.NetParameter", blobs: Mapping[str, list[np.ndarray]], order: Sequence[str]
) -> dict[str, list[np.ndarray]]:
    """Parameters that layers share by name are one in Caffe, and hold what is read last: ``order`` is the file's."""
    names = {(layer.name, i): param.name for layer in net.layer for i, param in enumerate(layer.param) if param.name}
    last = {}
    for layer in order:
        for i, array in enumerate(blobs.get(layer, ())):
            last[names.get((layer, i))] = array
    return {
        layer: [last[names[layer, i]].reshape(array.shape) if (layer, i) in names else array
                for i, array in enumerate(arrays)]
        for layer, arrays in blobs.items()
    }  # fmt: skip


def _check_numbers(layer: "caffe_pb2.LayerParameter", blobs: Sequence[np.ndarray]) -> None:
    active = layer.type in ACTIVE_TYPES
    for array in blobs[: _POSITIONS.start] if active else blobs:
        if not np.isfinite(array).all():
            raise UserError(
                f"{label(layer)}: weights that are not finite: the training diverged; take an earlier iteration"
            )
    if active:
        with naming(label(layer)):
            statistics(*blobs[_POSITIONS])
