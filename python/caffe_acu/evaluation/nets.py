"""What of a prototxt has to run to get its scores, and what it says about its test images. No libcaffe.

Two kinds: a network with an LMDB in its test phase (type Data), and a deploy network that begins with an Input.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError, naming
from caffe_acu.net_param import in_test_phase, read_prototxt

# Layers that compare scores, their first bottom, with labels, their second.
_JUDGES = ("SoftmaxWithLoss", "Accuracy", "MultinomialLogisticLoss", "InfogainLoss", "HingeLoss")
_OTHER_SOURCES = ("ImageData", "HDF5Data", "MemoryData", "WindowData", "DummyData", "Parameter")


@dataclass(frozen=True)
class TestNet:
    """The layers from a batch of images to scores, and how the prototxt reads its images, where it says so."""

    layers: tuple["caffe_pb2.LayerParameter", ...]  # of the test phase, in their order, without data and loss
    input: str  # the blob that the images go into
    scores: str  # the blob with a score for every class
    probabilities: bool  # a Softmax writes the scores
    input_shape: tuple[int, int, int] | None  # C, H, W of an Input; None where images come from an LMDB
    data: "caffe_pb2.DataParameter"  # of the layer that reads the LMDB; empty where there is none
    transform: "caffe_pb2.TransformationParameter"

    def to_run(self, shape: Sequence[int]) -> "caffe_pb2.NetParameter":
        """The network with an Input of ``shape`` (N, C, H, W)."""
        net = caffe_pb2.NetParameter()
        source = net.layer.add(name=self.input, type="Input", top=[self.input])
        source.input_param.shape.add().dim.extend(shape)
        for layer in self.layers:
            copy = net.layer.add()
            copy.CopyFrom(layer)
            for field in ("include", "exclude", "phase", "loss_weight"):
                copy.ClearField(field)
        return net


def read_test_net(path: str | Path, scores: str | None = None) -> TestNet:
    """Reads a prototxt; ``scores`` names the blob, where several or none could be meant.

    UserError names the file, and the layer where there is one, if there is no input or no blob of scores, or more
    than one, or if the scores need anything but the images.
    """
    net = read_prototxt(path)
    with naming(path):
        return _test_net(net, scores)


@dataclass(frozen=True)
class _Source:
    blob: str
    shape: tuple[int, ...] | None
    layer: "caffe_pb2.LayerParameter | None"  # that reads an LMDB


def _test_net(net: "caffe_pb2.NetParameter", scores: str | None) -> TestNet:
    layers = [layer for layer in net.layer if in_test_phase(layer, net.state)]
    sources = {source.blob: source for source in _sources(net, layers)}
    if not sources:
        raise UserError("no layer of type Data and no Input in the test phase: nothing takes the images")
    judges = [layer for layer in layers if layer.type in _JUDGES and len(layer.bottom) > 1]
    inner = [layer for layer in layers if layer.type not in ("Data", "Input", *_JUDGES)]
    blob = _scores_blob(inner, judges, scores)
    needed, bottoms = _needed(inner, blob)
    unknown = [bottom for bottom in bottoms if bottom not in sources]
    if unknown or len(bottoms) != 1:
        what = f"{unknown[0]!r}, which no layer before it makes" if unknown else ", ".join(map(repr, sorted(bottoms)))
        raise UserError(f"blob {blob!r} is computed from {what or 'nothing'}; it must come from the images alone")
    source = sources[bottoms.pop()]
    if source.layer is None:
        if source.shape is None or len(source.shape) != 4:
            raise UserError(f"input {source.blob!r} has shape {source.shape}: four axes are needed, N x C x H x W")
        data, transform, shape = caffe_pb2.DataParameter(), caffe_pb2.TransformationParameter(), source.shape[1:]
    else:
        _check_labels(source.layer, [judge for judge in judges if judge.bottom[0] == blob])
        data, transform, shape = source.layer.data_param, source.layer.transform_param, None
    writers = [layer.type for layer in needed if blob in layer.top]
    return TestNet(tuple(needed), source.blob, blob, writers[-1] == "Softmax", shape, data, transform)


def _sources(net: "caffe_pb2.NetParameter", layers: Sequence["caffe_pb2.LayerParameter"]) -> Iterator[_Source]:
    for i, blob in enumerate(net.input):  # before there were Input layers
        dims = net.input_shape[i].dim if net.input_shape else net.input_dim[4 * i : 4 * i + 4]
        yield _Source(blob, tuple(dims), None)
    for layer in layers:
        if layer.type in _OTHER_SOURCES:
            raise UserError(
                f"layer {layer.name!r}: type {layer.type} cannot be evaluated; make it a Data layer that reads an "
                "LMDB, or an Input"
            )
        if layer.type == "Data":
            yield from (_Source(blob, None, layer) for blob in layer.top)
        elif layer.type == "Input":
            shapes = [tuple(shape.dim) for shape in layer.input_param.shape]
            for i, blob in enumerate(layer.top):
                yield _Source(blob, (shapes if len(shapes) > 1 else shapes * len(layer.top))[i], None)


def _scores_blob(
    inner: Sequence["caffe_pb2.LayerParameter"],
    judges: Sequence["caffe_pb2.LayerParameter"],
    chosen: str | None,
) -> str:
    made = list(dict.fromkeys(top for layer in inner for top in layer.top))
    if chosen is not None:
        if chosen not in made:
            raise UserError(f"--scores {chosen}: no layer makes a blob of that name; there are {', '.join(made)}")
        return chosen
    candidates = dict.fromkeys(judge.bottom[0] for judge in judges)
    if not candidates:
        for layer in inner:  # as Caffe finds a network's outputs: what nothing reads after it was written
            for bottom in layer.bottom:
                candidates.pop(bottom, None)
            candidates.update(dict.fromkeys(layer.top))
    for layer in inner:
        # An accuracy may judge the softmax of what the loss reads: both mean the same scores.
        if layer.type == "Softmax" and layer.bottom[0] in candidates and layer.top[0] != layer.bottom[0]:
            candidates.pop(layer.top[0], None)
    if not candidates:
        raise UserError("no blob of scores: no loss, no accuracy and no output; name it with --scores")
    if len(candidates) > 1:
        raise UserError(f"several blobs may be the scores ({', '.join(candidates)}): choose one with --scores")
    return next(iter(candidates))


def _needed(
    layers: Sequence["caffe_pb2.LayerParameter"], blob: str
) -> tuple[list["caffe_pb2.LayerParameter"], set[str]]:
    """The layers that ``blob`` depends on, and the blobs that these read and none of them makes."""
    needed, wanted = [], {blob}
    for layer in reversed(layers):
        if wanted.intersection(layer.top):
            wanted = wanted.difference(layer.top).union(layer.bottom)
            needed.append(layer)
    return needed[::-1], wanted


def _check_labels(data: "caffe_pb2.LayerParameter", judges: Sequence["caffe_pb2.LayerParameter"]) -> None:
    if len(data.top) < 2:
        raise UserError(f"layer {data.name!r}: has no top for the labels; add one, as in top: \"{data.top[0]}\" top: "
                        "\"label\"")  # fmt: skip
    for judge in judges:
        if judge.bottom[1] != data.top[1]:
            raise UserError(
                f"layer {judge.name!r}: compares with blob {judge.bottom[1]!r}, not with the labels "
                f"{data.top[1]!r} of layer {data.name!r}"
            )
