"""Learned shapes in a prototxt, as explicit positions, and the weights that fit it."""

from collections.abc import Sequence

from caffe_acu.active_layer import ACONV_FAST, label, read_active_layer
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.convert.listed_positions import list_positions
from caffe_acu.errors import UserError
from caffe_acu.net_param import blob_array, set_blob
from caffe_acu.surgery.layers import stored_layers
from caffe_acu.surgery.shapes import Shape, by_layer

_WEIGHT, _BIAS, _X, _Y = range(4)


def list_shapes(net: "caffe_pb2.NetParameter", shapes: Sequence[Shape], layers: Sequence[str]) -> None:
    """Lets ``layers`` of a network start at the shapes of these names, in place; what they compute from stays.

    UserError for a layer without a shape, or that cannot list it: one of the authors' dialect, one whose position sets
    differ, or as ``list_positions`` says.
    """
    known = by_layer(shapes, layers)
    for layer in net.layer:
        if layer.name in layers:
            _list(layer, known[layer.name])


def list_weights(weights: "caffe_pb2.NetParameter", net: "caffe_pb2.NetParameter", layers: Sequence[str]) -> None:
    """Gives ``layers`` of a caffemodel, in place, the description that they have in ``net``, and kernels of 1 x K."""
    described = {layer.name: layer for layer in net.layer}
    stored = stored_layers(weights)
    for name in layers:
        layer = stored[name]
        for i in (_WEIGHT, _X, _Y):
            values = blob_array(layer.blobs[i])
            set_blob(layer.blobs[i], values.reshape(*values.shape[:2], 1, -1))
        layer.convolution_param.CopyFrom(described[name].convolution_param)
        layer.acu_param.CopyFrom(described[name].acu_param)


def _list(layer: "caffe_pb2.LayerParameter", shape: Shape) -> None:
    if ACONV_FAST in (layer.type, shape.type):
        raise UserError(
            f"{label(layer)}: the authors' layers cannot list positions; convert network and weights with "
            "`caffe-acu convert ring-to-raster` first"
        )
    active = read_active_layer(layer)
    if shape.x.shape[1] != active.synapses or len(shape.x) not in (1, active.sets):
        raise UserError(
            "{}: positions of {} set(s) of {} synapses; the network's are {} of {}".format(
                label(layer), *shape.x.shape, active.sets, active.synapses
            )
        )
    if (shape.x != shape.x[0]).any() or (shape.y != shape.y[0]).any():
        raise UserError(
            f"{label(layer)}: its {active.sets} position sets differ, and a prototxt lists one for all; keep them in a "
            "caffemodel (`caffe-acu positions apply`), or leave the layer out with --layers"
        )
    list_positions(layer, active, shape.x[0], shape.y[0])
    for field in ("dilation", "position_noise"):  # of the start that they replace
        layer.acu_param.ClearField(field)
