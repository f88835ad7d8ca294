"""Networks of every family as a training could have left them: small inputs, random weights, synapses far apart."""

from pathlib import Path

import caffe
import numpy as np

from caffe_acu.active_layer import ACTIVE_TYPES
from caffe_acu.net_param import format_prototxt
from caffe_acu.nets.zoo import all_models

BATCH = 2
CIFAR = (32, 32)
# Height and width of the input; those of photographs are smaller than in the papers where the last pooling allows.
FAMILIES = {
    "cvpr2017/plain_acu": (32, 32),
    "cvpr2017/plain_acu_f5": (32, 32),
    "cvpr2017/plain_authors": (32, 32),
    "cvpr2017/basic_residual32_acu": (32, 32),
    "cvpr2017/bottleneck_residual47_acu": (32, 32),
    "cvpr2017/alexnet_acu": (227, 227),
    "cvpr2017/resnet26_acu": (64, 96),
    "grouped/resnet29_acu": (32, 32),
    "grouped/resnet29_x2d_acu": (32, 32),
    "grouped/resnet29_x1d_acu_share": (32, 32),
    "grouped/inception_acu": (96, 64),
    "grouped/xception_acu": (64, 96),
    "grouped/mobilenet_v2_x0.8_acu": (96, 64),
    "grouped/depthwise_acu29": (32, 32),
}
_MODELS = {model.folder: model for model in all_models()}


def trained(folder: str, where: Path, seed: int = 0, spread: float = 1.2) -> tuple[Path, Path]:
    """Writes ``deploy.prototxt`` and ``net.caffemodel`` of a network of ``models/`` into ``where``; returns both.

    ``spread``: standard deviation in pixels of what synapses have moved; a few sit on whole pixels, a fixed one stays.
    """
    net = _MODELS[folder].deploy()
    (source,) = (layer for layer in net.layer if layer.type == "Input")
    source.input_param.shape[0].dim[:] = [BATCH, 3, *FAMILIES.get(folder, CIFAR)]
    for layer in net.layer:
        if layer.inner_product_param.num_output > 1000:  # AlexNet's 4096 are 200 MB, which every test would carry
            layer.inner_product_param.num_output = 250
    prototxt, caffemodel = where / "deploy.prototxt", where / "net.caffemodel"
    prototxt.write_text(format_prototxt(net))
    caffe.set_random_seed(seed)
    # In the training phase, in which batch normalisation learns its statistics: whatever the weights are, values
    # stay near 1.
    learning = caffe.Net(str(prototxt), caffe.TRAIN)
    random = np.random.default_rng(seed)
    for layer in learning.layers:
        if layer.type in ACTIVE_TYPES:
            _move(layer, random, spread)
        if layer.type == "Scale":
            for blob, mean in zip(layer.blobs, (1, 0), strict=False):
                blob.data[...] = random.normal(mean, 0.2, blob.data.shape)
    for _ in range(3):
        learning.blobs["data"].data[...] = random.normal(size=learning.blobs["data"].data.shape)
        learning.forward()
    learning.save(str(caffemodel))
    return prototxt, caffemodel


def _move(layer: "caffe.Layer", random: np.random.Generator, spread: float) -> None:
    x, y = (layer.blobs[i].data for i in (2, 3))
    free = (x != 0) | (y != 0)
    for blob in (x, y):
        blob[...] += free * random.normal(0, spread, blob.shape)
    whole = free & (random.random(x.shape) < 0.1)
    for blob in (x, y):
        blob[whole] = np.rint(blob[whole])
