"""Positions into networks, from files to files: nothing is written if anything is wrong, or over what is read."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from caffe_acu.errors import UserError, naming
from caffe_acu.net_param import format_prototxt, read_net, read_prototxt, refuse_overwriting, write_atomically
from caffe_acu.positions import files_of
from caffe_acu.surgery.apply import apply_shapes
from caffe_acu.surgery.freezing import freeze
from caffe_acu.surgery.layers import active_names, chosen
from caffe_acu.surgery.random_weights import random_weights
from caffe_acu.surgery.rounding import Rounded, round_positions
from caffe_acu.surgery.shapes import renamed
from caffe_acu.surgery.shapes_file import FORMS
from caffe_acu.surgery.sources import shapes_of


def apply_file(
    source: Path,
    weights: Path,
    out: Path,
    patterns: Sequence[str] = (),
    *,
    iteration: int | None = None,
    seed: int | None = None,
    names: Mapping[str, str] | None = None,
    partial: bool = False,
) -> list[str]:
    """Writes weights with the shapes of ``source``; returns the names of the layers that have them now.

    Args:
        weights: a caffemodel; with a ``seed`` a deploy prototxt, which gets random weights.
        patterns, partial: as for ``apply_shapes``.
        iteration: of a source that has several moments (default: the last).
        names: of layers of the source, and what they are called in the weights.

    UserError if anything is wrong.
    """
    if weights.suffix in FORMS:
        raise UserError(f"{weights}: a file of shapes, in the place of the network; it comes first")
    refuse_overwriting([weights, *files_of(source)], [out])
    shapes = shapes_of(source, iteration)
    net = read_net(weights) if seed is None else random_weights(weights, seed)
    with naming(source):
        shapes = renamed(shapes, names or {})
    with naming(f"{source}, {weights}"):
        took = apply_shapes(net, shapes, patterns, partial)
    write_atomically(out, net.SerializeToString())
    return took


def round_file(weights: Path, out: Path, patterns: Sequence[str] = (), step: float = 1) -> list[Rounded]:
    """Writes weights with positions at multiples of ``step`` pixels. UserError if anything is wrong."""
    refuse_overwriting([weights], [out])
    net = read_net(weights)
    with naming(weights):
        rounded = round_positions(net, chosen(active_names(net), patterns), step)
    write_atomically(out, net.SerializeToString())
    return rounded


def freeze_file(net: Path, out: Path, comment: str, patterns: Sequence[str] = ()) -> list[str]:
    """Writes a prototxt whose positions stay, with ``comment`` as its head; returns the names of these layers.

    UserError if anything is wrong.
    """
    refuse_overwriting([net], [out])
    described = read_prototxt(net)
    with naming(net):
        names = chosen(active_names(described), patterns)
        freeze(described, names)
    write_atomically(out, format_prototxt(described, comment))
    return names
