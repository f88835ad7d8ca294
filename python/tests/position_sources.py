"""One small network with known positions, in every form that positions are read from."""

from pathlib import Path

import numpy as np

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.position_log import save_npz
from caffe_acu.positions import LayerSeries

# Name, description, number of sets, kernel, input channels of a group, outputs.
LAYERS = (
    ("stem", "ACU", "kernel_size: 3 stride: 2 pad: 1", 1, (3, 3), 3, 4),
    ("deep", "GroupedACU", "kernel_h: 1 kernel_w: 5 stride_h: 1 stride_w: 3 group: 4", 4, (1, 5), 1, 4),
)
STRIDES, GROUPS = ((2, 2), (1, 3)), (1, 4)
PROTOTXT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 24 dim: 24 } } }\n'
PROTOTXT += "".join(
    f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{name}" '
    f"convolution_param {{ num_output: {outputs} {text} }} acu_param {{ warmup_iter: 10 }} }}\n"
    for (name, kind, text, _, _, _, outputs), bottom in zip(LAYERS, ("data", "stem"), strict=True)
)


def moved(iteration: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """x and y (sets, K) of both layers, each number another one; where they start, the lattice, at iteration 0."""
    positions = []
    for _, _, _, sets, (height, width), _, _ in LAYERS:
        lattice = np.mgrid[:height, :width].reshape(2, 1, -1) - np.array([height // 2, width // 2]).reshape(2, 1, 1)
        step = np.arange(2 * sets * height * width).reshape(2, sets, -1) * iteration / 4096
        step *= (lattice != 0).any(axis=0)  # the origin stays
        y, x = lattice + step
        positions.append((x, y))
    return positions


def write_snapshot(path: Path, iteration: int, poison: float | None = None) -> Path:
    """``poison``: stands in place of the x of the last layer's second set, synapse 3."""
    from google.protobuf import text_format

    net = text_format.Parse(PROTOTXT, caffe_pb2.NetParameter())
    for layer, (_, _, _, sets, kernel, channels, outputs), (x, y) in zip(
        net.layer[1:], LAYERS, moved(iteration), strict=True
    ):
        if poison is not None and sets > 1:
            x[1, 3] = poison
        shapes = ((outputs, channels, *kernel), (outputs,), (sets, 1, *kernel), (sets, 1, *kernel))
        for shape, values in zip(shapes, (1.0, 0.0, x, y), strict=True):
            blob = layer.blobs.add()
            blob.shape.dim.extend(shape)
            blob.data.extend(np.broadcast_to(np.ravel(values), (np.prod(shape),)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(net.SerializeToString())
    return path


def write_npz(path: Path, iterations=(0, 100, 200)) -> Path:
    series = []
    for i, (name, kind, _, sets, kernel, _, _) in enumerate(LAYERS):
        x, y = (np.stack([moved(iteration)[i][axis] for iteration in iterations]) for axis in (0, 1))
        fixed = np.full(sets, kernel[0] * kernel[1] // 2)
        series.append(LayerSeries(name, kind, np.array(iterations), x, y, fixed, kernel, 10))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_npz(series, path)
    return path


def write_run(folder: Path) -> Path:
    """The folder of a run with three snapshots and the network."""
    for iteration in (0, 100, 200):
        write_snapshot(folder / "snapshots" / f"run_iter_{iteration}.caffemodel", iteration)
    (folder / "train_val.prototxt").write_text(PROTOTXT)
    return folder
