"""``caffe-acu plot filters | accuracy | curves``: of weights, tables of results, and logs."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from caffe_acu.cli.plot_options import add_files, add_kind, name_of, size_of, title_of

_AXES = ("parameters", "madds", "network")


def register(kinds) -> None:
    filters = add_kind(
        kinds,
        "filters",
        _run_filters,
        help="filters of a layer, of one network or of several side by side",
        description="The weights of a layer on the pixels that they act on: those of a convolution as they are, those "
        "of an ACU extrapolated. FILE: a caffemodel, a folder of snapshots (the last), or the folder of a run.",
    )
    add_files(filters, "networks to stand side by side, such as one with convolutions and one with ACUs")
    filters.add_argument("--layer", metavar="NAME", help="(the last larger than 1x1 that all of them have)")
    filters.add_argument("--most", type=int, default=256, metavar="N", help="filters, evenly spread (256)")
    _add_names(filters)

    accuracy = add_kind(
        kinds,
        "accuracy",
        _run_accuracy,
        help="accuracies of the networks of a table",
        description="Means and standard deviations of our runs, dotted what the paper printed, if ours is comparable.",
    )
    accuracy.add_argument("table", type=Path, metavar="FILE", help="results that `caffe-acu table` wrote: table3.json")
    accuracy.add_argument("--by", choices=_AXES, default=_AXES[0], help="the horizontal axis (parameters)")
    accuracy.add_argument("--top", type=int, choices=(1, 5), default=1, help="top-1 or top-5 (1)")

    curves = add_kind(
        kinds,
        "curves",
        _run_curves,
        help="training loss and test error over the iterations",
        description="Curves of one run or several; the warm-up is shaded, drops of the learning rate are marked.",
    )
    add_files(curves, "the folder of a run, or the log of caffe train")
    _add_names(curves)


def _add_names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--names", nargs="+", metavar="NAME", help="what to call the FILEs, one for each")


def _run_filters(arguments: argparse.Namespace) -> None:
    from caffe_acu.errors import UserError
    from caffe_acu.layer_kernels import layers_with_kernels, read_kernel
    from caffe_acu.plots.figures import save
    from caffe_acu.plots.filters import filters

    if arguments.most < 1:
        raise UserError(f"--most {arguments.most}: 1 or more was expected")
    size = size_of(arguments.size)
    names = _names(arguments)
    weights = [_weights(file) for file in arguments.files]
    layer = arguments.layer
    if layer is None:
        of_each = [layers_with_kernels(file) for file in weights]
        common = [name for name in of_each[0] if all(name in others for others in of_each)]
        if not common:
            raise UserError(f"{weights[-1]}: no convolution with weights, larger than 1x1, that every FILE has")
        layer = common[-1]
    kernels = {name: read_kernel(file, layer) for name, file in zip(names, weights, strict=True)}
    save(filters(kernels, title_of(arguments, layer), arguments.most, size), arguments.out)
    print(arguments.out)


def _run_accuracy(arguments: argparse.Namespace) -> None:
    from caffe_acu.plots.accuracy import accuracy_lines
    from caffe_acu.plots.figures import save
    from caffe_acu.reproduce.accuracy_lines import accuracy_figure, read_results

    size = size_of(arguments.size)
    results = read_results(arguments.table)
    drawn = accuracy_figure(results, arguments.by, arguments.top)
    table = ", ".join(filter(None, (results["title"], results["remark"])))
    title = table if arguments.title is None else arguments.title
    save(accuracy_lines(drawn.lines, drawn.xlabel, title, drawn.xticks, size, drawn.joined), arguments.out)
    print(arguments.out)


def _run_curves(arguments: argparse.Namespace) -> None:
    from caffe_acu.plots.curves import training_curves
    from caffe_acu.plots.figures import save
    from caffe_acu.reproduce.curves import read_curves

    size = size_of(arguments.size)
    names = _names(arguments)
    runs = dict(zip(names, map(read_curves, arguments.files), strict=True))
    warmup_iter = max(run.warmup_iter for run in runs.values())
    drops = sorted({drop for run in runs.values() for drop in run.rate_drops})
    save(training_curves(runs, title_of(arguments), warmup_iter, drops, size), arguments.out)
    print(arguments.out)


def _names(arguments: argparse.Namespace) -> Sequence[str]:
    """Of the FILEs, each another one."""
    from caffe_acu.errors import UserError
    from caffe_acu.plots.colours import COLOURS

    files = arguments.files
    if len(files) > len(COLOURS):
        raise UserError(f"{len(files)} FILEs: a figure shows {len(COLOURS)} at most")
    names = arguments.names or [name_of([file]) for file in files]
    if len(names) != len(files):
        raise UserError(f"--names: {len(names)} names for {len(files)} FILEs; give one for each")
    for i, name in enumerate(names):
        if name in names[:i]:
            raise UserError(f"{files[i]}: called {name!r}, as another FILE is; tell them apart with --names")
    return names


def _weights(file: Path) -> Path:
    """The caffemodel that is meant."""
    from caffe_acu.errors import UserError
    from caffe_acu.position_files import by_iteration, snapshots_in

    if not file.is_dir():
        return file
    snapshots = snapshots_in(file)
    if not snapshots:
        raise UserError(f"{file}: no snapshots in it, <prefix>_iter_<N>.caffemodel; give a caffemodel")
    return list(by_iteration(snapshots).values())[-1]
