"""``caffe-acu plot``: figures of what was learned, of filters and of results, from files."""

import argparse
from pathlib import Path

from caffe_acu.cli import plot_results
from caffe_acu.cli.plot_options import (
    MOVEMENT,
    POSITIONS,
    add_columns,
    add_files,
    add_kind,
    add_layers,
    add_moment,
    add_sets,
    at_iteration,
    check_columns,
    chosen_layers,
    chosen_sets,
    name_of,
    size_of,
    title_of,
)

_MOST_SETS = 256  # side by side, of a layer
_SETS_IN_COLOURS = 5  # as in the paper


def register(subparsers) -> None:
    parser = subparsers.add_parser(
        "plot",
        help="draw learned shapes, filters, curves and accuracies from files",
        description="Draws a figure, for print, as .svg, .pdf or .png, as its file's suffix says. Each kind has its "
        "own --help. `caffe-acu figure` draws those of the papers from the runs of their tables.",
        epilog="examples: caffe-acu plot shapes net.caffemodel -o shapes.pdf --size column; "
        "caffe-acu plot animation results/cvpr2017/runs/plain_acu/seed1 -o plain.gif",
    )
    kinds = parser.add_subparsers(title="kinds", dest="kind", metavar="<kind>", required=True)
    _register_shapes(kinds)
    _register_movement(kinds)
    _register_sets(kinds)
    _register_histogram(kinds)
    _register_animation(kinds)
    plot_results.register(kinds)


def _register_shapes(kinds) -> None:
    parser = add_kind(
        kinds,
        "shapes",
        _run_shapes,
        help="where the synapses of each layer are",
        description="A panel for each layer and position set: rings are where synapses started, numbered dots where "
        f"they are, a square is the fixed one. FILE: {POSITIONS}.",
    )
    add_files(parser)
    add_layers(parser)
    add_moment(parser)
    add_columns(parser)
    add_sets(parser, "up to twelve, fewer if there are many layers")
    parser.add_argument("--frame", type=int, metavar="N", help="draw the area of an N x N convolution too, N odd")


def _register_movement(kinds) -> None:
    parser = add_kind(
        kinds,
        "movement",
        _run_movement,
        help="positions over the iterations",
        description=f"x and y of every synapse over the training; a row for each layer. FILE: {MOVEMENT}.",
    )
    add_files(parser, MOVEMENT)
    add_layers(parser, "the first and the last")
    parser.add_argument("--set", type=int, default=0, metavar="N", help="the position set to draw (0)")


def _register_sets(kinds) -> None:
    parser = add_kind(
        kinds,
        "sets",
        _run_sets,
        help="the position sets of grouped layers",
        description="Position sets of one layer side by side, or with --colours a few of each layer upon one "
        f"another. FILE: {POSITIONS}.",
    )
    add_files(parser)
    add_layers(parser, "the last with several sets; with --colours all")
    add_moment(parser)
    add_sets(parser, f"{_MOST_SETS} at most; with --colours {_SETS_IN_COLOURS}")
    parser.add_argument("--colours", action="store_true", help="a panel for each layer, in it a colour for each set")
    add_columns(parser)


def _register_histogram(kinds) -> None:
    parser = add_kind(
        kinds,
        "histogram",
        _run_histogram,
        help="how many synapses of all sets are where",
        description="A panel for each layer: synapses in squares of a tenth of a pixel, on a logarithmic scale. "
        f"FILE: {POSITIONS}.",
    )
    add_files(parser)
    add_layers(parser)
    add_moment(parser)
    add_columns(parser)
    parser.add_argument(
        "--merge",
        metavar="REGEX",
        help="one panel for all layers in whose names this regular expression finds the same text, as 'stage[0-9]'",
    )


def _register_animation(kinds) -> None:
    parser = add_kind(
        kinds,
        "animation",
        _run_animation,
        help="shapes over the training, as a GIF or a film",
        description="Shapes in the course of training, the iteration below them, the warm-up marked. OUT is a .gif, "
        f"or with ffmpeg an .mp4. FILE: {MOVEMENT}.",
    )
    add_files(parser, MOVEMENT)
    add_layers(parser)
    add_columns(parser)
    add_sets(parser, "twenty of all layers together")
    parser.add_argument("--moments", type=int, default=120, metavar="N", help="shown at most, evenly spread (120)")
    parser.add_argument("--seconds", type=float, default=10, metavar="S", help="for which it lasts, about (10)")


def _run_shapes(arguments: argparse.Namespace) -> None:
    from caffe_acu.errors import UserError
    from caffe_acu.plots.figures import save
    from caffe_acu.plots.shapes import shapes

    if arguments.frame is not None and (arguments.frame < 1 or arguments.frame % 2 == 0):
        raise UserError(f"--frame {arguments.frame}: an odd number was expected, such as 7")
    check_columns(arguments.columns)
    size = size_of(arguments.size)
    layers = _read(arguments)
    title = title_of(arguments, name_of(arguments.files, arguments.iteration), at_iteration(arguments))
    figure = shapes(layers, title, arguments.columns, arguments.frame, _sets(layers, arguments.sets), size)
    save(figure, arguments.out)
    print(arguments.out)


def _run_movement(arguments: argparse.Namespace) -> None:
    from caffe_acu.errors import UserError
    from caffe_acu.plots.figures import save
    from caffe_acu.plots.movement import movement

    size = size_of(arguments.size)
    series = _read_movement(arguments)
    if arguments.layers is None and len(series) > 2:
        series = [series[0], series[-1]]
    for layer in series:
        if not 0 <= arguments.set < layer.x.shape[1]:
            raise UserError(
                f"--set {arguments.set}: layer {layer.layer!r} has {layer.x.shape[1]} set(s), numbered from 0"
            )
    save(movement(series, title_of(arguments, name_of(arguments.files)), arguments.set, size), arguments.out)
    print(arguments.out)


def _run_sets(arguments: argparse.Namespace) -> None:
    from caffe_acu.errors import UserError
    from caffe_acu.plots.figures import save
    from caffe_acu.plots.position_sets import position_sets, sets_in_colours

    check_columns(arguments.columns)
    size = size_of(arguments.size)
    layers = _read(arguments)
    name, iteration = name_of(arguments.files, arguments.iteration), at_iteration(arguments)
    if arguments.colours:
        sets = _sets(layers, arguments.sets or str(_SETS_IN_COLOURS))
        if max(map(len, sets)) > _SETS_IN_COLOURS:
            raise UserError(f"--sets {arguments.sets}: colours tell {_SETS_IN_COLOURS} sets apart, no more")
        figure = sets_in_colours(layers, sets, title_of(arguments, name, iteration), arguments.columns, size)
    else:
        if arguments.columns is not None:
            raise UserError(f"--columns {arguments.columns}: only with --colours; side by side, sets make a square")
        layer = ([one for one in layers if len(one.x) > 1] or layers)[-1]
        if arguments.layers is not None and len(layers) > 1:
            raise UserError("--layers: side by side are the sets of one layer; give one, or --colours")
        (sets,) = _sets([layer], arguments.sets or str(_MOST_SETS))
        shown = "" if len(sets) == len(layer.x) else f"{len(sets)} of "
        title = title_of(
            arguments, name, iteration, layer.layer, f"{shown}{len(layer.x)} set{'s' * (len(layer.x) != 1)}"
        )
        figure = position_sets(layer, sets, title, size)
    save(figure, arguments.out)
    print(arguments.out)


def _run_histogram(arguments: argparse.Namespace) -> None:
    from caffe_acu.errors import UserError
    from caffe_acu.plots.figures import save
    from caffe_acu.plots.position_sets import position_histograms

    check_columns(arguments.columns)
    size = size_of(arguments.size)
    blocks = _merged(_read(arguments), arguments.merge, arguments.files[-1])
    title = title_of(arguments, name_of(arguments.files, arguments.iteration), at_iteration(arguments))
    try:
        figure = position_histograms(blocks, title, arguments.columns, size)
    except UserError as error:
        raise UserError(f"{arguments.files[-1]}: {error}") from error
    save(figure, arguments.out)
    print(arguments.out)


def _run_animation(arguments: argparse.Namespace) -> None:
    from caffe_acu.errors import UserError
    from caffe_acu.plots.animation import shapes_over_time
    from caffe_acu.plots.film import check_film, save_film

    check_film(arguments.out)
    check_columns(arguments.columns)
    if arguments.moments < 1 or not 0 < arguments.seconds < float("inf"):
        raise UserError(f"--moments {arguments.moments} --seconds {arguments.seconds:g}: more than 0 was expected")
    size = size_of(arguments.size)
    series = _read_movement(arguments)
    sets = _sets([layer.last for layer in series], arguments.sets)
    title = title_of(arguments, name_of(arguments.files))
    animation = shapes_over_time(series, title, arguments.columns, sets, arguments.moments, size)
    save_film(animation.pictures(), arguments.out, arguments.seconds)
    print(arguments.out)


def _read(arguments: argparse.Namespace) -> list:
    from caffe_acu.positions import read

    layers = read(arguments.files, iteration=arguments.iteration)
    return chosen_layers(layers, arguments.layers, arguments.files[-1])


def _read_movement(arguments: argparse.Namespace) -> list:
    from caffe_acu.errors import UserError
    from caffe_acu.positions import read_movement

    series = read_movement(arguments.files)
    if len(series[0].iterations) < 2:
        raise UserError(
            f"{arguments.files[-1]}: one moment alone shows no movement; give several snapshots, the position log or "
            "the folder of a run"
        )
    return chosen_layers(series, arguments.layers, arguments.files[-1])


def _sets(layers: list, text: str | None) -> list | None:
    return None if text is None else [chosen_sets(text, layer.layer, len(layer.x)) for layer in layers]


def _merged(layers: list, pattern: str | None, file: Path) -> dict[str, list]:
    """Layers by the text that the pattern finds in their names; each alone without a pattern."""
    import re

    from caffe_acu.errors import UserError

    if pattern is None:
        return {layer.layer: [layer] for layer in layers}
    blocks: dict[str, list] = {}
    try:
        for layer in layers:
            if found := re.search(pattern, layer.layer):
                blocks.setdefault(found[0] or "all layers", []).append(layer)
    except re.error as error:
        raise UserError(f"--merge {pattern}: no regular expression ({error})") from error
    if not blocks:
        names = ", ".join(layer.layer for layer in layers)
        raise UserError(f"{file}: --merge {pattern} is found in no name of a layer; there are {names}")
    return blocks
