"""Networks from text with random weights, exported by the command; what they compute in Caffe and in ONNX Runtime."""

from pathlib import Path

import caffe
import numpy as np
import onnx
import onnxruntime

from active_pair import type_of
from caffe_acu.active_layer import ACTIVE_TYPES
from caffe_acu.cli.main import main


def save_random(prototxt: Path, caffemodel: Path, seed: int = 0) -> None:
    """Every blob random; statistics of BatchNorm with a weight that is not 1; synapses up to some pixels away."""
    random = np.random.default_rng(seed)
    net = caffe.Net(str(prototxt), caffe.TEST)
    for name, blobs in net.params.items():
        type_ = type_of(net, name)
        for i, blob in enumerate(blobs):
            blob.data[...] = random.normal(size=blob.data.shape)
            if type_ == "BatchNorm" and i:
                blob.data[...] = random.uniform(0.5, 2, blob.data.shape)
            if type_ in ACTIVE_TYPES and i > 1:
                blob.data[...] *= 1.5
                blob.data.flat[0] = 0
    net.save(str(caffemodel))


class Exported:
    """A network and its ONNX model, in a folder."""

    def __init__(self, folder: Path, prototxt: str, *options: str):
        self.net, self.weights, self.file = folder / "net.prototxt", folder / "net.caffemodel", folder / "net.onnx"
        self.net.write_text(prototxt)
        save_random(self.net, self.weights)
        self.export(*options)

    def export(self, *options: str) -> None:
        """Once more, from what is now in the files."""
        self.code = main(["convert", "onnx", str(self.net), str(self.weights), "-o", str(self.file), *options])

    @property
    def model(self) -> onnx.ModelProto:
        return onnx.load(self.file)

    def differences(self, batch: int | None = None) -> dict[str, float]:
        return differences(self.net, self.weights, self.file, batch)


def differences(net: Path, weights: Path, file: Path, batch: int | None = None) -> dict[str, float]:
    """For every blob of Caffe's how far the value of its name in ONNX Runtime is away, as a share of the largest.

    ``batch``: another number of images than the prototxt has.
    """
    reference = caffe.Net(str(net), str(weights), caffe.TEST)
    blobs = [name for name in reference.blobs if "_split_" not in name]
    inputs = {}
    for i, name in enumerate(reference.inputs):
        blob = reference.blobs[name]
        if batch:
            blob.reshape(batch, *blob.data.shape[1:])
        # Not around 0: what depends on the mean shows too.
        inputs[name] = np.random.default_rng(i).normal(0.3, 1, blob.data.shape).astype(np.float32)
    reference.reshape()
    for name, array in inputs.items():
        reference.blobs[name].data[...] = array
    reference.forward()
    model = onnx.load(file)
    values = {value.name: value for value in (*model.graph.value_info, *model.graph.output)}
    wanted = [name for name in blobs if name not in inputs]
    model.graph.output.extend(values[name] for name in wanted if name not in reference.outputs)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(wanted, inputs)
    return {name: _difference(reference.blobs[name].data, values) for name, values in zip(wanted, found, strict=True)}


def _difference(theirs: np.ndarray, ours: np.ndarray) -> float:
    assert theirs.shape == ours.shape
    assert np.ptp(theirs) > 0 or theirs.size == 1
    return float(np.abs(theirs - ours).max() / np.abs(theirs).max())
