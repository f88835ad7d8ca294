"""What a training with frozen positions starts from: positions that another training has learned.

ACU-Round of the poster takes all weights, the positions rounded (:func:`round_positions`); ACU-Fixed of the grouped
paper (section 4.2) takes the positions only, and draws its weights anew (:func:`take_positions`).
"""

import tempfile
from pathlib import Path

import numpy as np

from caffe_acu.active_layer import ACTIVE_TYPES, label
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.net_param import blob_array, read_net, read_prototxt, set_blob
from caffe_acu.quiet_caffe import import_caffe

_BLOBS = 4
_POSITIONS = (2, 3)  # of them x and y, in pixels


def round_positions(weights: "caffe_pb2.NetParameter") -> list[str]:
    """Rounds all positions to whole pixels, halves to even ones, in place; returns the names of the layers.

    UserError if there is no active layer with its blobs.
    """
    layers = _active_layers(weights)
    for layer in layers.values():
        for i in _POSITIONS:
            # Adding 0 turns -0 into 0.
            set_blob(layer.blobs[i], np.rint(blob_array(layer.blobs[i])) + 0.0)
    return list(layers)


def take_positions(weights: "caffe_pb2.NetParameter", trained: "caffe_pb2.NetParameter") -> list[str]:
    """Gives the active layers of ``weights`` the positions of ``trained``, in place; returns the layers' names.

    UserError for a layer that is missing there, or has another number of position sets or synapses.
    """
    layers, learned = _active_layers(weights), _active_layers(trained)
    for name, layer in layers.items():
        if name not in learned:
            raise UserError(f"no active layer is called {name!r}, so its positions are not known")
        for i in _POSITIONS:
            positions, shape = blob_array(learned[name].blobs[i]), tuple(layer.blobs[i].shape.dim)
            if positions.shape != shape:
                raise UserError(f"{label(layer)}: positions of shape {positions.shape}; the network's are {shape}")
            set_blob(layer.blobs[i], positions)
    return list(layers)


def random_weights(net: Path, seed: int) -> "caffe_pb2.NetParameter":
    """The weights with which Caffe starts to train a deploy network; needs libcaffe.

    UserError if it is no prototxt, or reads data.
    """
    for layer in read_prototxt(net).layer:  # what is wrong gets its message here; Caffe would end the process
        if not layer.bottom and layer.type not in ("Input", "DummyData"):
            raise UserError(f"{net}: {label(layer)} reads data, which are not needed here; give the deploy network")
    caffe = import_caffe()
    caffe.set_random_seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.caffemodel"
        caffe.Net(str(net), caffe.TEST).save(str(path))
        return read_net(path)


def _active_layers(net: "caffe_pb2.NetParameter") -> dict[str, "caffe_pb2.LayerParameter"]:
    found = {layer.name: layer for layer in net.layer if layer.type in ACTIVE_TYPES}
    if not found:
        raise UserError(f"no layer of type {' or '.join(ACTIVE_TYPES)} in it")
    for layer in found.values():
        if len(layer.blobs) != _BLOBS:
            raise UserError(f"{label(layer)}: {len(layer.blobs)} blobs; weight, bias, x and y make {_BLOBS}")
    return found
