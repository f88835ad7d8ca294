"""A network of each family in pycaffe: gradients reach all that is learned, and layers in place spoil none.

The same network with no layer in place, its blobs all apart, must give the same bits.
"""

import caffe
import numpy as np
import pytest

from caffe_acu.active_layer import ACTIVE_TYPES
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.net_param import format_prototxt
from caffe_acu.nets.zoo import all_models

BY_FOLDER = {model.folder: model for model in all_models()}
BATCH = 2
# Pixels of an image; those of photographs are fewer than in the papers where the last pooling takes any size.
FAMILIES = {
    "cvpr2017/plain_acu_f5": 32,
    "cvpr2017/plain_authors": 32,
    "cvpr2017/basic_residual32_acu": 32,
    "cvpr2017/bottleneck_residual47_acu": 32,
    "cvpr2017/alexnet_acu": 227,
    "cvpr2017/resnet26_acu": 64,
    "grouped/resnet29_x1d_acu_share": 32,
    "grouped/inception": 64,
    "grouped/inception_acu": 64,
    "grouped/xception_acu": 64,
    "grouped/mobilenet_v2_x0.8_acu": 64,
    "grouped/depthwise_acu29": 32,
}


def with_loss(folder: str, pixels: int) -> "caffe_pb2.NetParameter":
    """The network that trains, on images and labels that are put in."""
    net = BY_FOLDER[folder].train_val()
    layers = [layer for layer in net.layer if layer.type not in ("Data", "Accuracy")]
    given = caffe_pb2.LayerParameter(name="given", type="Input", top=["data", "label"])
    given.input_param.shape.add(dim=[BATCH, 3, pixels, pixels])
    given.input_param.shape.add(dim=[BATCH])
    del net.layer[:]
    net.layer.extend([given, *layers])
    net.force_backward = True
    return net


def without_in_place(net: "caffe_pb2.NetParameter") -> "caffe_pb2.NetParameter":
    """Every layer writes a blob of its own."""
    apart = caffe_pb2.NetParameter()
    apart.CopyFrom(net)
    now: dict[str, str] = {}  # the blob that holds what one of this name would hold
    for layer in apart.layer:
        written = [f"{name} of {layer.name}" if name in layer.bottom else name for name in layer.top]
        read = [now[name] for name in layer.bottom]
        now |= zip(layer.top, written, strict=True)
        layer.bottom[:], layer.top[:] = read, written
    return apart


def gradients(message: "caffe_pb2.NetParameter", folder, classes: int) -> dict[tuple[str, int], np.ndarray]:
    """Of all blobs that are learned, and of the images, for random images, weights and positions of one seed."""
    path = folder / "net.prototxt"
    path.write_text(format_prototxt(message))
    caffe.set_random_seed(1)
    net = caffe.Net(str(path), caffe.TRAIN)
    random = np.random.default_rng(1)
    for blob in (blob for layer in net.layers if layer.type in ACTIVE_TYPES for blob in layer.blobs[2:]):
        blob.data[...] += np.where(blob.data, random.uniform(-0.4, 0.4, blob.data.shape), 0)
    net.blobs["data"].data[...] = random.normal(size=net.blobs["data"].data.shape)
    net.blobs["label"].data[...] = random.integers(classes, size=BATCH)
    caffe.set_random_seed(2)  # of what Dropout drops
    net.forward()
    net.backward()
    found = {("images", 0): net.blobs["data"].diff.copy()}
    for name, layer in zip(net._layer_names, net.layers, strict=True):
        for i, blob in enumerate(layer.blobs):
            # An ACU without bias keeps a zero for it; a lone synapse stays at the origin.
            if layer.type != "BatchNorm" and not (layer.type in ACTIVE_TYPES and i >= 1 and blob.count == 1):
                found[name, i] = blob.diff.copy()
    return found


@pytest.mark.parametrize(("folder", "pixels"), FAMILIES.items())
def test_gradients(folder, pixels, tmp_path):
    net, classes = with_loss(folder, pixels), BY_FOLDER[folder].data.classes
    apart = without_in_place(net)
    in_place = [layer.name for layer in net.layer if set(layer.bottom) & set(layer.top)]
    assert in_place and not [layer.name for layer in apart.layer if set(layer.bottom) & set(layer.top)]
    ours, expected = gradients(net, tmp_path, classes), gradients(apart, tmp_path, classes)
    assert ours.keys() == expected.keys()
    for key, gradient in ours.items():
        assert np.isfinite(gradient).all() and gradient.any(), key
        assert np.array_equal(gradient, expected[key]), key
