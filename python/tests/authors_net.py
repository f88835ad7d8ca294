"""A small network in the authors' dialect, with weights in the form of their binaries, and its outputs
computed in float64 by NumPy loops that share nothing with Caffe."""

from pathlib import Path

import numpy as np

from caffe_acu.caffe_proto import caffe_pb2

# name, outputs, kernel, stride; the second layer moves its synapses off the lattice.
LAYERS = (("first", 4, 1, 1), ("second/1", 6, 3, 2), ("second/2", 5, 3, 1))
_BOTTOMS = ("data", *(name for name, *_ in LAYERS[:-1]))
CHANNELS, SIZE, IMAGES = 3, 9, 2
PROTOTXT = "\n".join(
    [f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: {IMAGES} dim: {CHANNELS} '
     f"dim: {SIZE} dim: {SIZE} }} }} }}"]
    + [
        f'layer {{ name: "{name}" type: "AConvFast" bottom: "{bottom}" top: "{name}" convolution_param {{ '
        f"num_output: {outputs} kernel_size: {kernel} pad: {kernel // 2} stride: {stride} bias_term: false }} "
        "aconv_param { normalize: true pos_filler_std: -1 position_group: 1 } }"
        for (name, outputs, kernel, stride), bottom in zip(LAYERS, _BOTTOMS, strict=True)
    ]
)  # fmt: skip


def _ring(synapses: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = [0.0], [0.0]
    for i in range(synapses - 1):
        angle = 2 * np.pi * i / (synapses - 1)
        x.append(round(np.cos(angle)))
        y.append(round(np.sin(angle)))
    return np.array(x), np.array(y)


def weights() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each layer weight (D, C, K) and x, y (K,), in ring order."""
    rng = np.random.default_rng(7)
    result, channels = [], CHANNELS
    for number, (_, outputs, kernel, _) in enumerate(LAYERS):
        x, y = _ring(kernel * kernel)
        if number:
            x[1:] += rng.uniform(-1.5, 1.5, len(x) - 1)
            y[1:] += rng.uniform(-1.5, 1.5, len(y) - 1)
        result.append((rng.normal(0, 0.3, (outputs, channels, kernel * kernel)), x, y))
        channels = outputs
    return result


def write_caffemodel(path: Path) -> None:
    """As the authors' fork wrote it: its aconv_param stands in field 147 of a layer."""
    net = caffe_pb2.NetParameter(name="small")
    for (name, outputs, kernel, stride), (weight, x, y) in zip(LAYERS, weights(), strict=True):
        layer = net.layer.add(name=name, type="AConvFast")
        layer.convolution_param.num_output = outputs
        layer.convolution_param.kernel_size.append(kernel)
        layer.convolution_param.pad.append(kernel // 2)
        layer.convolution_param.stride.append(stride)
        layer.convolution_param.bias_term = False
        theirs = caffe_pb2.AConvParameter(normalize=True, pos_filler_std=-1, position_group=1)
        layer.swish_param.MergeFromString(theirs.SerializeToString())
        shapes = ((outputs, weight.shape[1], kernel, kernel), (1, 1, 1, 1), *2 * [(1, 1, kernel, kernel)])
        for shape, values in zip(shapes, (weight, np.zeros(1), x, y), strict=True):
            blob = layer.blobs.add()
            blob.shape.dim.extend(shape)
            blob.data.extend(values.ravel())
    path.write_bytes(net.SerializeToString())


def images() -> np.ndarray:
    return np.random.default_rng(8).normal(size=(IMAGES, CHANNELS, SIZE, SIZE))


def forward() -> np.ndarray:
    """The last layer's outputs, (IMAGES, D, H', W')."""
    values = images()
    for (_, _, kernel, stride), (weight, x, y) in zip(LAYERS, weights(), strict=True):
        values = active_convolution(values, weight, x, y, kernel, stride)
    return values


def active_convolution(
    inputs: np.ndarray, weight: np.ndarray, x: np.ndarray, y: np.ndarray, kernel: int, stride: int
) -> np.ndarray:
    """Equation 5 with pad kernel // 2, sample by sample; inputs (N, C, H, W), weight (D, C, K)."""
    n, channels, height, width = inputs.shape
    pad = kernel // 2
    out = [(size + 2 * pad - kernel) // stride + 1 for size in (height, width)]
    output = np.zeros((n, len(weight), *out))
    for i in range(out[0]):
        for j in range(out[1]):
            for k in range(len(x)):
                row, column = i * stride - pad + kernel // 2 + y[k], j * stride - pad + kernel // 2 + x[k]
                sample = np.zeros((n, channels))
                for r in (int(np.floor(row)), int(np.floor(row)) + 1):
                    for c in (int(np.floor(column)), int(np.floor(column)) + 1):
                        if 0 <= r < height and 0 <= c < width:
                            sample += (1 - abs(row - r)) * (1 - abs(column - c)) * inputs[:, :, r, c]
                output[:, :, i, j] += sample @ weight[:, :, k].T
    return output
