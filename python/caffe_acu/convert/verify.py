"""Whether a converted network does what the trained one does: layer by layer, and from end to end, in Caffe.

Two evaluations of one function in single precision differ by rounding. How much of a difference that explains is
computed, not chosen; what differs by more is a mistake and is refused.

**A layer alone**, on what it reads in the trained network. An output is a sum of n products, and of what batch
normalisation adds. Rounding changes a sum of n terms by at most about n u A, where u = 2^-24 and A is the sum of the
terms' absolute values; errors of different operations being unrelated, by at most 10 sqrt(n) u A in all cases but a
share of 2 n exp(-50) (Higham and Mary, SIAM J. Sci. Comput. 41, 2019, theorem 2.4). The smaller of the two counts,
for the old layer and for the new one, each with its own n: channels times synapses, and channels times taps, since a
tap of 0 rounds nothing. A is computed by Caffe: the old layer with the absolute values of weights and inputs, for
shares of neighbours are never negative. The shares themselves are off by up to u, however small they are: a synapse at
-0.001 is 0.999 pixels from the one to its left, which is rounded, and leaves 0.001. So u B is added, where B is A
with a share of 1 for each of the four neighbours.

**The whole network.** What layers still to come make of such a difference is asked from the trained network itself: at
the end of each replaced layer every value is moved up or down by the largest difference that the layer alone has,
at every other layer by four roundings of the largest value. True differences are smaller nearly everywhere, so that
ten times the move of each blob covers them, while a mistake of the network's structure shows at full size.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from caffe_acu.active_layer import ActiveLayer, label
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.convert.to_convolution import ConvertedLayer, ConvertedNet
from caffe_acu.errors import UserError
from caffe_acu.kernels import DenseKernel
from caffe_acu.trained_net import TrainedNet, caffe_net

# Bottoms that hold the number of a class, a word or an image, which Caffe looks up unchecked, or whether a sequence
# goes on: 0 always makes sense.
_INDICES: Mapping[str, tuple[int, ...]] = {
    "Accuracy": (1,),
    "BatchReindex": (1,),
    "Embed": (0,),
    "HingeLoss": (1,),
    "InfogainLoss": (1,),
    "LSTM": (1,),
    "MultinomialLogisticLoss": (1,),
    "RNN": (1,),
    "SoftmaxWithLoss": (1,),
}

Arrays = Mapping[str, np.ndarray]

_U = 2.0**-24  # of a single rounding, relative
_CERTAINTY = 10  # lambda of the theorem
_FEW = 8  # operations on the way of a value beside the sum: its interpolation, a bias, a layer folded in
_STEP = 4 * _U  # relative, by which values of layers that stay are moved
_MARGIN = 10
_MISTAKE = ": this is a mistake of the conversion, and nothing is written"
_LARGEST_COLUMNS = 2**27  # values of the columns that stock Caffe makes of an image: 512 MiB


@dataclass(frozen=True)
class LayerDifference:
    """Of a layer that was replaced, on the input that it has in the trained network.

    Attributes:
        largest: absolute difference of the outputs.
        explained: largest share of what rounding explains, from 0 to 1. Where taps were pruned, of the difference to
            the layer without those taps.
    """

    largest: float
    explained: float


@dataclass(frozen=True)
class BlobDifference:
    """Of a blob that both networks have."""

    largest: float  # absolute difference
    allowed: float
    magnitude: float  # largest absolute value


@dataclass(frozen=True)
class Differences:
    layers: Mapping[str, LayerDifference]
    blobs: Mapping[str, BlobDifference]  # in the order of the network
    outputs: tuple[str, ...]  # of these blobs those that nobody reads


def verify(trained: TrainedNet, converted: ConvertedNet, seed: int = 0) -> Differences:
    """Runs both networks on standard normal inputs of the sizes in the prototxt; see this module's description.

    UserError if a layer alone, or a blob of the whole network, differs by more than rounding explains, and for
    outputs that are not finite.
    """
    original = caffe_net(trained.net, trained.blobs)
    inputs = _inputs(trained.net, original, np.random.default_rng(seed))
    layers, after = _layer_by_layer(converted, original, inputs)
    new = caffe_net(converted.net, converted.blobs)
    _run(new, inputs)
    names = dict.fromkeys(top for layer in trained.net.layer for top in layer.top if top in new.blobs)
    lost = [name for name in original.outputs if name not in names]
    if lost:
        raise UserError(f"output {lost[0]!r} is missing in the converted network{_MISTAKE}")
    allowed = _allowed(original, inputs, converted, layers, after)
    blobs = {
        name: BlobDifference(_largest(new.blobs[name].data - after[name]), allowed[name], _largest(after[name]))
        for name in names
    }
    for name, blob in blobs.items():
        if not blob.largest <= blob.allowed:
            raise UserError(
                f"blob {name!r} differs by {blob.largest:.3g}, where rounding explains {blob.allowed:.3g}{_MISTAKE}"
            )
    return Differences(layers, blobs, tuple(original.outputs))


def random_inputs(net: "caffe_pb2.NetParameter", loaded: Any, random: np.random.Generator) -> Arrays:
    """Standard normal values for all tops of Input layers; 0 for those that are no values, but indices.

    ``net`` is what ``loaded``, a ``caffe.Net``, was made of.
    """
    indices = {layer.bottom[i] for layer in net.layer for i in _INDICES.get(layer.type, ()) if i < len(layer.bottom)}
    shapes = {name: loaded.blobs[name].data.shape for name in loaded.inputs}
    return {name: np.zeros(shape) if name in indices else random.normal(size=shape) for name, shape in shapes.items()}


def _inputs(net: "caffe_pb2.NetParameter", loaded: Any, random: np.random.Generator) -> Arrays:
    """What the layers without bottoms make; random, where they are of type Input."""
    values = dict(random_inputs(net, loaded, random))
    for i in range(len(loaded.layers)):
        if not len(loaded._bottom_ids(i)):
            loaded._forward(i, i)
            for top in loaded._top_ids(i):
                values.setdefault(loaded._blob_names[top], loaded._blobs[top].data.copy())
    return values


def _run(net: Any, inputs: Arrays) -> None:
    for _ in _steps(net, inputs):
        pass


def _steps(net: Any, inputs: Arrays) -> Iterator[tuple[int, str]]:
    """Runs a network; yields the index and name of each layer after it has run, those that Caffe inserts included.

    The next one runs when the next is asked for, so that what it reads can be changed before.
    """
    for i, name in enumerate(net._layer_names):
        net._forward(i, i)
        if not len(net._bottom_ids(i)):
            for top in net._top_ids(i):
                net._blobs[top].data[...] = inputs[net._blob_names[top]]
        yield i, name


def _layer_by_layer(
    converted: ConvertedNet, original: Any, inputs: Arrays
) -> tuple[dict[str, LayerDifference], Arrays]:
    """Compares the replaced layers; also returns what the blobs of the trained network hold in the end."""
    first = {layer.replaced[0]: layer for layer in converted.layers}
    last = {layer.replaced[-1]: layer for layer in converted.layers}
    read: dict[str, list[np.ndarray]] = {}
    differences = {}
    names = list(original._layer_names)
    for i, name in _steps(original, inputs):
        if name in last:
            layer = last[name]
            tops = _values(original, original._top_ids(i))
            differences[layer.name] = _compare(layer, converted, read.pop(layer.name), tops)
        # Caffe's Splits give every reader a blob of its own, which an in-place layer that comes later may change.
        if i + 1 < len(names) and names[i + 1] in first:
            read[names[i + 1]] = _values(original, original._bottom_ids(i + 1))
    order = [layer.name for layer in converted.layers]
    after = {name: blob.data.copy() for name, blob in original.blobs.items()}
    for name, values in after.items():
        _check_finite(name, values)
    return {name: differences[name] for name in order}, after


def _check_finite(blob: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise UserError(
            f"blob {blob!r} of the network is not finite on random inputs, so nothing can be compared: the training "
            "diverged (take an earlier iteration), or a layer cannot take normally distributed values"
        )


def _values(net: Any, ids: Sequence[int]) -> list[np.ndarray]:
    return [net._blobs[i].data.copy() for i in ids]


def _compare(
    layer: ConvertedLayer, converted: ConvertedNet, bottoms: Sequence[np.ndarray], tops: Sequence[np.ndarray]
) -> LayerDifference:
    results = [made for made in converted.net.layer if made.name in layer.results]
    made = _alone(results, converted.blobs, layer, bottoms)
    magnitudes, neighbours = _magnitudes(layer, bottoms), _neighbours(layer, bottoms)
    share = _U * sum(min(n, _CERTAINTY * np.sqrt(n)) for n in _terms(layer, results, converted.blobs))
    largest = explained = 0.0
    for name, bottom, old, new, magnitude, beside in zip(
        layer.layer.top, bottoms, tops, made, magnitudes, neighbours, strict=True
    ):
        _check_finite(name, old)
        if new.shape != old.shape:
            raise UserError(f"{label(layer.layer)}: what stands for it makes {new.shape} of {old.shape}{_MISTAKE}")
        exact = old
        if layer.convolutions and layer.convolutions.pruned:
            exact = _by_definition(layer.convolutions.pruned.kernel, layer, bottom, old.shape)
        allowed = share * magnitude.astype(np.float64) + _U * beside + np.finfo(np.float32).tiny
        used = np.abs(new - exact) / allowed
        if not np.isfinite(used).all() or used.max() > 1:
            raise UserError(
                f"{label(layer.layer)}: what stands for it differs by {_largest(new - exact):.3g}, "
                f"{_largest(used):.3g} times what rounding explains{_MISTAKE}"
            )
        largest, explained = max(largest, _largest(new - old)), max(explained, float(used.max()))
    return LayerDifference(largest, explained)


def _terms(
    layer: ConvertedLayer, results: Sequence["caffe_pb2.LayerParameter"], blobs: Mapping[str, Sequence[np.ndarray]]
) -> tuple[float, float]:
    """Operations on the way to an output, before and after."""
    param = layer.layer.inner_product_param if layer.layer.type == "InnerProduct" else layer.layer.convolution_param
    before = layer.blobs[0].size // param.num_output + _FEW
    after = before
    if layer.convolutions:
        kernels = [blobs[made.name][0] for made in results if made.name in blobs]
        after = sum(int(np.count_nonzero(kernel, axis=(1, 2, 3)).max()) for kernel in kernels) + _FEW
    return before + _FEW * len(layer.replaced[1:]), after


def _magnitudes(layer: ConvertedLayer, bottoms: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Sums of the absolute values of all that is added up to an output."""
    weight, *rest = layer.blobs
    if layer.fold:
        rest[0] = layer.fold.bias_magnitude
    elif rest:
        rest[0] = np.abs(rest[0])
    blobs = {layer.name: [np.abs(weight), *rest]}
    return _alone([layer.layer], blobs, layer, [np.abs(bottom) for bottom in bottoms])


def _neighbours(layer: ConvertedLayer, bottoms: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Sums of the absolute values of weights times all neighbours of their synapses."""
    if not layer.active:
        return [np.zeros(1)] * len(bottoms)
    weight, bias, *positions = layer.blobs
    # Right between pixels each of the four has a quarter.
    blobs = [np.abs(weight), np.zeros_like(bias), *(np.floor(axis) + 0.5 for axis in positions)]
    quarters = _alone([layer.layer], {layer.name: blobs}, layer, [np.abs(bottom) for bottom in bottoms])
    return [4 * values.astype(np.float64) for values in quarters]


def _alone(
    layers: Sequence["caffe_pb2.LayerParameter"],
    blobs: Mapping[str, Sequence[np.ndarray]],
    of: ConvertedLayer,
    bottoms: Sequence[np.ndarray],
) -> list[np.ndarray]:
    """What these layers, which read the bottoms of a layer and make its tops, make of ``bottoms``."""
    net = caffe_pb2.NetParameter()
    values = dict(zip(of.layer.bottom, bottoms, strict=True))
    for name, array in values.items():
        source = net.layer.add(name=f"{name} of the network", type="Input", top=[name])
        source.input_param.shape.add(dim=array.shape)
    for layer in layers:
        copy = net.layer.add()
        copy.CopyFrom(layer)
        if layer.type == "Convolution" and _columns(blobs[layer.name][0], of, bottoms) <= _LARGEST_COLUMNS:
            copy.convolution_param.engine = caffe_pb2.ConvolutionParameter.CAFFE  # what runs elsewhere
    loaded = caffe_net(net, {layer.name: blobs[layer.name] for layer in layers if layer.name in blobs})
    _run(loaded, values)
    return [loaded.blobs[top].data.copy() for top in of.layer.top]


def _columns(weight: np.ndarray, of: ConvertedLayer, bottoms: Sequence[np.ndarray]) -> int:
    return max(int(np.prod(weight.shape[2:])) * bottom[0].size for bottom in bottoms)


def _by_definition(kernel: DenseKernel, layer: ConvertedLayer, image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The active layer, had it these taps, tap by tap in float64; ``shape``: that of its top."""
    active: ActiveLayer = layer.active
    outputs, per_group, *_ = kernel.weight.shape
    groups = kernel.groups
    weight = kernel.weight.reshape(groups, outputs // groups, per_group, *kernel.weight.shape[2:])
    result = np.zeros((shape[0], groups, outputs // groups, shape[2] * shape[3]))
    for tap in np.argwhere(kernel.weight.any(axis=(0, 1))):
        seen = image.astype(np.float64)
        for axis in (0, 1):
            start = active.centre[axis] - active.pad[axis] + kernel.origin[axis] + tap[axis]
            places = start + active.stride[axis] * np.arange(shape[2 + axis])
            inside = (places >= 0) & (places < image.shape[2 + axis])
            seen = np.take(seen, np.where(inside, places, 0), axis=2 + axis)
            seen = seen * (inside[:, None] if axis == 0 else inside)
        result += weight[None, ..., tap[0], tap[1]] @ seen.reshape(shape[0], groups, per_group, -1)
    if layer.layer.convolution_param.bias_term:
        result += layer.blobs[1].reshape(groups, -1, 1)
    return result.reshape(shape)


def _allowed(
    original: Any, inputs: Arrays, converted: ConvertedNet, layers: Mapping[str, LayerDifference], after: Arrays
) -> dict[str, float]:
    """By how much each blob may differ."""
    steps = {layer.replaced[-1]: layers[layer.name].largest for layer in converted.layers}
    allowed = dict.fromkeys(after, 0.0)
    random = np.random.default_rng(0)
    for by_channel in (False, True):  # whether all values of a channel move together
        for i, name in _steps(original, inputs):
            if not len(original._bottom_ids(i)) or original.layers[i].type == "Split":  # whose tops are one memory
                continue
            for top in original._top_ids(i):
                data = original._blobs[top].data
                shape = (*data.shape[:2], *[1] * (data.ndim - 2)) if by_channel else data.shape
                step = max(steps.get(name, 0), _STEP * _largest(data))
                data += (step * random.choice((-1, 1), size=shape)).astype(np.float32)
        for blob, values in after.items():
            allowed[blob] = max(allowed[blob], _MARGIN * _largest(original.blobs[blob].data - values))
    return allowed


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values).max()) if values.size else 0.0
