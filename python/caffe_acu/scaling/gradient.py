"""What workers that train together send each other: the gradients of a network's blobs."""

from collections.abc import Collection
from dataclasses import dataclass

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.counts.conventions import PAPERS
from caffe_acu.counts.handlers.inputs import ImageShape
from caffe_acu.counts.handlers.registry import LayerCount
from caffe_acu.counts.network import CountedLayers, Uncounted, count_layers
from caffe_acu.errors import UserError

VALUE_BYTES = 4  # float, which Caffe's programs train with


@dataclass(frozen=True)
class LayerGradient:
    """A layer's part, in the order of the forward pass.

    ``learned``: values of its own blobs that learn. A blob that layers share belongs to the first of them. ``resting``:
    values of blobs that do not: statistics of BatchNorm, blobs with lr_mult 0, the single zero of an ACU without bias.
    """

    name: str
    learned: int
    resting: int
    multiply_adds: int  # forward, for one image


@dataclass(frozen=True)
class Gradient:
    """Of a network in the training phase. ``batch``: images of an iteration, as the prototxt has it."""

    name: str
    batch: int
    layers: list[LayerGradient]
    uncounted: list[Uncounted]

    @property
    def learned(self) -> int:
        """Values. Of the positions all count, those of the fixed synapse too: their blobs hold them."""
        return sum(layer.learned for layer in self.layers)

    @property
    def resting(self) -> int:
        return sum(layer.resting for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """For one image, forward."""
        return sum(layer.multiply_adds for layer in self.layers)


def gradient_of(
    net: "caffe_pb2.NetParameter", input_shape: ImageShape | None = None, same_shape: Collection[str] = ()
) -> Gradient:
    """The gradient of a network that trains; arguments and errors as in :func:`caffe_acu.counts.network.count_network`.

    UserError also if nothing learns.
    """
    counted = count_layers(net, input_shape, same_shape, caffe_pb2.TRAIN)
    gradient = Gradient(net.name, counted.batch, _layers(counted), counted.uncounted)
    if not gradient.learned:
        raise UserError("no blob learns, so nothing is sent: is it the network that is trained?")
    return gradient


def _layers(counted: CountedLayers) -> list[LayerGradient]:
    shared: set[str] = set()
    layers = []
    for layer, count in counted.layers:
        learned = resting = 0
        for i, (size, can_learn) in enumerate(_blobs(layer, count)):
            param = layer.param[i] if i < len(layer.param) else caffe_pb2.ParamSpec()
            if param.name in shared:
                continue
            if param.name:
                shared.add(param.name)
            if can_learn and param.lr_mult:
                learned += size
            else:
                resting += size
        products = count.products + PAPERS.interpolation_cost * count.interpolated
        layers.append(LayerGradient(layer.name, learned, resting, round(products / counted.batch)))
    return layers


def _blobs(layer: "caffe_pb2.LayerParameter", count: LayerCount) -> list[tuple[int, bool]]:
    """Values of each of Caffe's blobs of a layer, and whether it can learn."""
    if layer.type == "BatchNorm":
        channels = count.tops[0][1] if len(count.tops[0]) > 1 else 1
        return [(channels, False), (channels, False), (1, False)]
    blobs = [(size, True) for size in count.learned]
    if count.synapses:
        weights, bias = blobs
        positions = count.synapses.sets * count.synapses.each, True
        return [weights, bias if bias[0] else (1, False), positions, positions]
    return blobs
