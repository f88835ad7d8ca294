"""``caffe-acu positions``: prints and draws the learned shapes."""

import argparse
from pathlib import Path

from caffe_acu.cli import positions_numbers, positions_surgery


def register(subparsers) -> None:
    parser = subparsers.add_parser(
        "positions",
        help="print and plot the learned shapes, carry them to other networks",
        description="Prints where the synapses of every ACU layer are, in input pixels (x to the right, y down), and "
        "how far they moved from their start. FILE is a caffemodel (ours or the authors'), or a prototxt, which "
        "tells where they start. With several snapshots of a run the last is printed and drawn. FILE may also be the "
        "position log of a run (position_log in acu.proto) or an npz of it: the last record, and how far they moved "
        "from the first; or the folder of a run.",
        epilog="examples: caffe-acu positions snapshots/*.caffemodel --plot shapes.png --movement movement.png; "
        "caffe-acu positions positions.log --movement movement.png; caffe-acu positions stats net.caffemodel",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="OUT", help="draw a panel per layer (.png, .svg or .pdf)")
    parser.add_argument("--movement", type=Path, metavar="OUT", help="draw positions over the iterations")
    parser.add_argument(
        "--layers", nargs="+", metavar="NAME", help="layers to print and draw (default: all; movement: first and last)"
    )
    parser.add_argument(
        "--kernels", action="store_true", help="print the lattice convolutions that the layers are equal to, instead"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run)
    commands = parser.add_commands()
    for module in (positions_numbers, positions_surgery):
        module.register(commands)


def _run(arguments: argparse.Namespace) -> None:
    import json

    from caffe_acu.plots.figures import save
    from caffe_acu.plots.movement import movement
    from caffe_acu.plots.shapes import shapes
    from caffe_acu.positions import iteration_of, read, read_movement

    files = arguments.files
    layers = read(files)
    last = files[0] if len(files) == 1 else max(files, key=iteration_of)
    layers = _select(layers, arguments.layers, last)
    if arguments.kernels:
        kernels = [_kernel_as_data(layer, last) for layer in layers]
        print(json.dumps(kernels, indent=2) if arguments.json else _kernels_as_text(kernels))
    elif arguments.json:
        print(json.dumps([_as_data(layer) for layer in layers], indent=2))
    else:
        print(last, _moments(files), "\n", sep="")
        print("\n\n".join(_as_text(layer) for layer in layers))
    if arguments.plot:
        save(shapes(layers, last.name), arguments.plot)
    if arguments.movement:
        series = _select(read_movement(files), arguments.layers, last)
        if not arguments.layers and len(series) > 2:
            series = [series[0], series[-1]]
        save(movement(series), arguments.movement)


def _moments(files: list[Path]) -> str:
    from caffe_acu.positions import log_of, read_movement

    if not log_of(files):
        return ""
    return ", iteration {1}, from iteration {0}".format(*read_movement(files)[0].iterations[[0, -1]])


def _select(layers: list, names: list[str] | None, file: Path) -> list:
    from caffe_acu.errors import UserError

    if not names:
        return layers
    by_name = {layer.layer: layer for layer in layers}
    for name in names:
        if name not in by_name:
            raise UserError(f"{file}: no ACU layer {name!r}; it has {', '.join(by_name)}")
    return [by_name[name] for name in names]


def _as_data(layer) -> dict:
    return {
        "layer": layer.layer,
        "type": layer.type,
        "x": layer.x.tolist(),
        "y": layer.y.tolist(),
        "start_x": layer.start_x.tolist(),
        "start_y": layer.start_y.tolist(),
        "fixed": layer.fixed.tolist(),
        "mean_displacement": layer.mean_displacement,
        "max_displacement": layer.max_displacement,
        "mean_radius": layer.mean_radius,
    }


def _kernel_as_data(layer, file: Path) -> dict:
    from caffe_acu.errors import UserError
    from caffe_acu.kernels import statistics

    try:
        kernel = statistics(layer.x, layer.y)
    except UserError as error:
        raise UserError(f"{file}: layer {layer.layer!r}: {error}") from error
    return {
        "layer": layer.layer,
        "type": layer.type,
        "sets": len(layer.x),
        "synapses": layer.x.shape[1],
        "kernel": kernel.size,
        "taps": kernel.taps,
        "taps_of_set": kernel.taps_of_set.tolist(),
        "sparsity": kernel.sparsity,
    }


def _kernels_as_text(kernels: list[dict]) -> str:
    width = max(len(kernel["layer"]) for kernel in kernels)
    lines = [f"{'layer':{width}}  sets   K  kernel  taps (mean of a set)    zeros"]
    for kernel in kernels:
        size = "{} x {}".format(*kernel["kernel"])
        taps = sum(kernel["taps_of_set"]) / kernel["sets"]
        lines.append(
            f"{kernel['layer']:{width}}  {kernel['sets']:4d} {kernel['synapses']:3d}  {size:>6}  "
            f"{kernel['taps']:4d} ({taps:.1f}){'':8}  {kernel['sparsity']:7.0%}"
        )
    return "\n".join(lines)


def _as_text(layer) -> str:
    lines = [
        f"{layer.layer} ({layer.type}): moved {layer.mean_displacement:.3f} px on average, "
        f"{layer.max_displacement:.3f} at most; mean radius {layer.mean_radius:.3f}"
    ]
    for s in range(len(layer.x)):
        if len(layer.x) > 1:
            lines.append(f"  set {s}")
        lines.append("  synapse        x        y    moved")
        for k in range(layer.x.shape[1]):
            note = "  fixed" if k == layer.fixed[s] else ""
            lines.append(f"  {k:7d} {layer.x[s, k]:8.3f} {layer.y[s, k]:8.3f} {layer.displacement[s, k]:8.3f}{note}")
    return "\n".join(lines)
