"""Random networks of convolutions, and a network and its active counterpart side by side in Caffe."""

from pathlib import Path

import caffe
import numpy as np

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.cli.main import main
from caffe_acu.net_param import read_net


def layer(name: str, type_: str, bottoms: str, text: str = "", top: str = "") -> str:
    """A layer as text; bottoms are separated by spaces, the top is called as the layer."""
    reads = " ".join(f'bottom: "{bottom}"' for bottom in bottoms.split())
    return f'layer {{ name: "{name}" type: "{type_}" {reads} top: "{top or name}" {text} }}\n'


def conv(name: str, bottom: str, text: str = "num_output: 4 kernel_size: 3 pad: 1", more: str = "") -> str:
    filler = "weight_filler { type: 'msra' } bias_filler { type: 'gaussian' std: 0.5 }"
    return layer(name, "Convolution", bottom, f"{more} convolution_param {{ {text} {filler} }}")


def data(channels: int = 4, height: int = 9, width: int = 8) -> str:
    shape = f"shape {{ dim: 2 dim: {channels} dim: {height} dim: {width} }}"
    return f'force_backward: true layer {{ name: "data" type: "Input" top: "data" input_param {{ {shape} }} }}\n'


def random_net(seed: int, engine: str) -> str:
    """Nine steps: convolutions of all kinds, normalisation in place, residual branches, concatenations."""
    rng = np.random.default_rng(seed)
    channels, size = 6, (23, 21)
    text, blob = data(channels, *size), "data"
    for step in range(9):
        name = f"c{step}"
        if step % 3 == 2:  # two branches that keep the size
            group = int(rng.choice([g for g in (1, 2, 3, channels) if channels % g == 0]))
            dilation, k = int(rng.integers(1, 4)), int(rng.choice([3, 5]))
            kept = f"{engine}num_output: {channels} kernel_size: {k} dilation: {dilation} pad: {dilation * (k // 2)} "
            text += conv(name, blob, f"{kept} group: {group} bias_term: {_choice(rng, 'true', 'false')}")
            text += _normalised(rng, name)
            if rng.random() < 0.5:
                text += layer(f"sum{step}", "Eltwise", f"{blob} {name}")
                blob = f"sum{step}"
            else:
                text += conv(f"{name}b", blob, f"{engine}num_output: 3 kernel_h: 1 kernel_w: 3 pad_h: 0 pad_w: 1")
                text += layer(f"cat{step}", "Concat", f"{name} {name}b")
                blob, channels = f"cat{step}", channels + 3
            continue
        kernel = [int(k) for k in rng.choice([1, 2, 3, 4], 2)]
        stride = [int(s) for s in rng.choice([1, 1, 2], 2)]
        pad = [int(p) for p in rng.integers(1, 4, 2)]
        dilation = [int(d) for d in rng.integers(1, 3, 2)]
        group = int(rng.choice([g for g in (1, 2, channels) if channels % g == 0]))
        outputs = group * int(rng.integers(1, 3)) if group > 2 else group * int(rng.integers(2, 5))
        text += conv(
            name,
            blob,
            f"{engine}num_output: {outputs} kernel_h: {kernel[0]} kernel_w: {kernel[1]} stride: {stride[0]} "
            f"stride: {stride[1]} pad: {pad[0]} pad: {pad[1]} dilation: {dilation[0]} dilation: {dilation[1]} "
            f"group: {group} bias_term: {_choice(rng, 'true', 'false')}",
        )
        text += _normalised(rng, name)
        blob, channels = name, outputs
    return f'name: "random{seed}"\n' + text


def _choice(rng: np.random.Generator, *options: str) -> str:
    return options[rng.integers(len(options))]


def _normalised(rng: np.random.Generator, blob: str) -> str:
    text = ""
    if rng.random() < 0.7:
        text += layer(f"bn_{blob}", "BatchNorm", blob, top=blob)
        text += layer(f"scale_{blob}", "Scale", blob, "scale_param { bias_term: true }", top=blob)
    return text + (layer(f"relu_{blob}", "ReLU", blob, top=blob) if rng.random() < 0.7 else "")


def save_random_weights(prototxt: Path, caffemodel: Path) -> None:
    """As Caffe's fillers make them; statistics of BatchNorm as if it had been trained."""
    caffe.set_random_seed(1)
    net = caffe.Net(str(prototxt), caffe.TEST)
    rng = np.random.default_rng(1)
    for name, blobs in net.params.items():
        if type_of(net, name) == "BatchNorm":
            blobs[0].data[...] = rng.normal(size=blobs[0].data.shape)
            blobs[1].data[...] = rng.uniform(0.5, 2, blobs[1].data.shape)
            blobs[2].data[...] = 1
    net.save(str(caffemodel))


def type_of(net: caffe.Net, layer_name: str) -> str:
    return net.layers[list(net._layer_names).index(layer_name)].type


class Pair:
    """``NET`` with random weights and what `caffe-acu new` makes of both, in a folder."""

    def __init__(self, folder: Path, prototxt: str, *options: str):
        self.net, self.weights = folder / "net.prototxt", folder / "net.caffemodel"
        self.out, self.out_weights = folder / "active.prototxt", folder / "active.caffemodel"
        self.net.write_text(prototxt)
        save_random_weights(self.net, self.weights)
        files = map(str, (self.net, "-o", self.out, "--weights", self.weights, "--out-weights", self.out_weights))
        assert main(["new", *files, *options]) == 0

    def nets(self) -> tuple[caffe.Net, caffe.Net]:
        return (
            caffe.Net(str(self.net), str(self.weights), caffe.TEST),
            caffe.Net(str(self.out), str(self.out_weights), caffe.TEST),
        )

    def passes(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """For both all blobs, their gradients, and those of weights and biases, after a pass in both directions."""
        return tuple(_pass(net) for net in self.nets())


def _pass(net: caffe.Net) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    for name in net.inputs:
        net.blobs[name].data[...] = rng.normal(size=net.blobs[name].data.shape)
    net.forward()
    blobs = [blob.data.copy() for blob in net.blobs.values()]
    net.clear_param_diffs()
    for name in net.outputs:
        net.blobs[name].diff[...] = rng.normal(size=net.blobs[name].data.shape)
    net.backward()
    for name, params in net.params.items():
        if type_of(net, name) == "BatchNorm":  # statistics, not learned
            continue
        weight, *bias = (param.diff.copy() for param in params)
        # Without a bias an ACU has one number there, which takes no part.
        blobs += [weight] + [b for b in bias[:1] if len(b) == len(weight)]
    return blobs + [net.blobs[name].diff.copy() for name in net.blobs]


def layers_of(path: Path) -> dict[str, "caffe_pb2.LayerParameter"]:
    return {description.name: description for description in read_net(path).layer}
