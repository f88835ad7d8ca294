"""A trained network's convolutions as ACUs that are these convolutions (Lemma 1), and the proof that they are."""

from dataclasses import dataclass
from pathlib import Path

from caffe_acu.active_layer import label
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.convert.activate import Activation, activate, activate_weights
from caffe_acu.convert.deployment_files import CAFFEMODEL, PROTOTXT, check_folder
from caffe_acu.convert.options import Choice, PositionOptions
from caffe_acu.convert.to_convolution import ConvertedLayer, ConvertedNet
from caffe_acu.convert.verify import Differences, verify
from caffe_acu.errors import UserError, naming
from caffe_acu.net_param import blob_array, format_prototxt, write_together
from caffe_acu.trained_net import TrainedNet, caffe_net, read_trained, weights_message

_IMAGE_AXES = 4


@dataclass(frozen=True)
class ActivatedNet:
    activation: Activation
    converted: ConvertedNet
    differences: Differences


def activate_trained_files(
    net: Path, weights: Path, folder: Path, choice: Choice, positions: PositionOptions, comment: str
) -> tuple[ActivatedNet, list[Path]]:
    """Reads a deploy prototxt and its caffemodel, writes both as ACUs; also returns their paths. Needs libcaffe.

    ``comment`` is the head of the prototxt. UserError as of :func:`read_trained` and :func:`activate_trained`, and for
    a folder that has what is read; then nothing is written.
    """
    files = [folder / PROTOTXT, folder / CAFFEMODEL]
    check_folder(folder, files, (net, weights))
    activated = activate_trained(read_trained(net, weights), choice, positions)
    made = activated.converted
    contents = (format_prototxt(made.net, comment), weights_message(made.net, made.blobs).SerializeToString())
    write_together(dict(zip(files, contents, strict=True)))
    return activated, files


def activate_trained(trained: TrainedNet, choice: Choice, positions: PositionOptions) -> ActivatedNet:
    """The chosen convolutions as ACUs, run beside the network as it was.

    UserError, which names the file: nothing is chosen, a convolution that cannot be an ACU, or that is none of
    images, and outputs that differ by more than rounding.
    """
    net = caffe_pb2.NetParameter()
    net.CopyFrom(trained.net)
    with naming(trained.net_path):
        activation = activate(net, choice, positions)
        names = [layer.name for layer in activation.layers]
        before = [layer for layer in trained.net.layer if layer.name in names]
        _require_images(trained, before)
    stored = weights_message(trained.net, {name: trained.blobs[name] for name in names})
    with naming(trained.weights_path):
        activate_weights(stored, net, names)
    active = {layer.name: [blob_array(blob) for blob in layer.blobs] for layer in stored.layer if layer.blobs}
    blobs = {name: active.get(name, list(arrays)) for name, arrays in trained.blobs.items()}
    layers = tuple(
        ConvertedLayer(layer, list(trained.blobs[layer.name]), None, None, None, (layer.name,)) for layer in before
    )
    converted = ConvertedNet(net, blobs, layers, tuple(names))
    with naming(trained.net_path):
        return ActivatedNet(activation, converted, verify(trained, converted))


def _require_images(trained: TrainedNet, layers: list["caffe_pb2.LayerParameter"]) -> None:
    """Where a prototxt alone does not tell that a convolution has other axes than an image, Caffe does."""
    blobs = caffe_net(trained.net, trained.blobs).blobs
    for layer in layers:
        axes = {len(blobs[bottom].shape) for bottom in layer.bottom}
        if axes != {_IMAGE_AXES}:
            raise UserError(
                f"{label(layer)}: a bottom of {min(axes)} axes, where an ACU reads images, of {_IMAGE_AXES}; leave the "
                "layer out with --except"
            )
