"""What a network starts from whose positions another training has found: ACU-Round and ACU-Fixed.

ACU-Round (CVPR poster) goes on with weights whose positions have been rounded; ACU-Fixed (grouped paper, Table 2 and
section 4.3.3) begins anew, with random weights around learned positions.
"""

import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from caffe_acu.active_layer import ACTIVE_TYPES, label
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.net_param import blob_array, blob_shapes, read_net, read_prototxt, set_blob
from caffe_acu.positions import LayerPositions, read_positions
from caffe_acu.quiet_caffe import import_caffe

_POSITIONS = (2, 3)  # x and y among a layer's blobs


def round_positions(weights: "caffe_pb2.NetParameter") -> list[str]:
    """Moves every synapse of a caffemodel to the nearest pixel, in place; returns the names of its ACU layers.

    UserError if there is none, or none with positions.
    """
    rounded = []
    for layer in weights.layer:
        if layer.type in ACTIVE_TYPES and len(layer.blobs) > max(_POSITIONS):
            for i in _POSITIONS:
                # + 0.0 makes -0 a 0.
                set_blob(layer.blobs[i], np.rint(blob_array(layer.blobs[i])) + 0.0)
            rounded.append(layer.name)
    if not rounded:
        raise UserError("no ACU layer with positions in it; a trained caffemodel was expected")
    return rounded


def fresh_weights(net_path: Path, trained_path: Path, seed: int) -> "caffe_pb2.NetParameter":
    """Weights of the prototxt as its fillers start it, with the positions of a trained caffemodel. Loads libcaffe.

    Every ACU layer of the network must be in the caffemodel, with as many sets and synapses. UserError otherwise.
    """
    learned = {layer.layer: layer for layer in read_positions(trained_path)}
    net = read_prototxt(net_path)
    for layer in net.layer:
        if not layer.bottom and layer.type not in ("Input", "DummyData"):
            raise UserError(
                f"{net_path}: {label(layer)} reads data, which are not needed here; give the deploy network"
            )
    names = [layer.name for layer in net.layer if layer.type in ACTIVE_TYPES]
    if not names:
        raise UserError(f"{net_path}: no ACU layer in it: there is nothing to give positions to")
    missing = [name for name in names if name not in learned]
    if missing:
        raise UserError(
            f"{trained_path}: no ACU layer {missing[0]!r}, which {net_path} has; it has {', '.join(learned)}"
        )
    weights = _as_filled(net_path, seed)
    for layer in weights.layer:
        if layer.name in names:
            _place(layer, learned[layer.name], f"{trained_path}: layer {layer.name!r}")
    return weights


def _as_filled(net_path: Path, seed: int) -> "caffe_pb2.NetParameter":
    caffe = import_caffe()
    caffe.set_random_seed(seed)
    net = caffe.Net(str(net_path), caffe.TEST)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "filled.caffemodel"
        net.save(str(path))
        return read_net(path)


def _place(layer: "caffe_pb2.LayerParameter", learned: LayerPositions, where: str) -> None:
    sets, _, *kernel = blob_shapes(layer)[_POSITIONS[0]][0]
    expected = (sets, math.prod(kernel))
    if learned.x.shape != expected:
        raise UserError(
            f"{where}: {learned.x.shape[0]} position sets of {learned.x.shape[1]} synapses; the network has "
            f"{expected[0]} of {expected[1]}"
        )
    for i, values in zip(_POSITIONS, (learned.x, learned.y), strict=True):
        set_blob(layer.blobs[i], values.reshape(sets, 1, *kernel).astype(np.float32))
