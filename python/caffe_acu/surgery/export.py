"""Learned shapes out of a network: to a file of their own, or into a prototxt."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from caffe_acu.errors import UserError, naming
from caffe_acu.layer_positions import LayerPositions, LayerSeries
from caffe_acu.net_param import (
    format_prototxt,
    read_net,
    read_prototxt,
    refuse_overwriting,
    write_atomically,
    write_together,
)
from caffe_acu.position_log import save_npz
from caffe_acu.positions import files_of, moment_of, read
from caffe_acu.surgery.layers import active_names, chosen
from caffe_acu.surgery.listed import list_shapes, list_weights
from caffe_acu.surgery.shapes_file import FORMS, format_shapes
from caffe_acu.surgery.sources import shapes_of

_NPZ, _WEIGHTS = ".npz", ".caffemodel"


def export_shapes(
    source: Path, out: Path, name: str, patterns: Sequence[str] = (), iteration: int | None = None
) -> list[str]:
    """Writes shapes to a file whose suffix is one of FORMS or .npz; returns the names of the layers.

    Args:
        name: of the source, for the head of the file.
        patterns: of layers; none: all.
        iteration: of a source that has several moments (default: the last).

    An npz has one moment, of iteration 0 where the source tells none. UserError if anything is wrong.
    """
    if out.suffix not in (*FORMS, _NPZ):
        raise UserError(f"{out}: shapes are written as {', '.join(FORMS)} or {_NPZ}, and with --net as .prototxt")
    shapes = shapes_of(source, iteration)
    refuse_overwriting(files_of(source), [out])
    with naming(source):
        names = chosen([shape.layer for shape in shapes], patterns)
    moment = moment_of(source) if iteration is None else iteration
    if out.suffix == _NPZ:
        if source.suffix in FORMS:
            raise UserError(f"{source}: does not tell the kernels, which an npz has; export it from the network")
        layers = [layer for layer in read(source, iteration=iteration) if layer.layer in names]
        save_npz([_as_series(layer, moment or 0) for layer in layers], out)
    else:
        origin = name if moment is None else f"{name}, iteration {moment}"
        write_atomically(out, format_shapes([s for s in shapes if s.layer in names], out.suffix, origin))
    return names


def _as_series(layer: LayerPositions, iteration: int) -> LayerSeries:
    return LayerSeries(
        layer=layer.layer,
        type=layer.type,
        iterations=np.array([iteration]),
        x=layer.x[None],
        y=layer.y[None],
        fixed=layer.fixed,
        kernel_size=layer.kernel_size,
        warmup_iter=layer.warmup_iter,
    )


def export_prototxt(
    source: Path,
    net: Path,
    out: Path,
    comment: str,
    patterns: Sequence[str] = (),
    iteration: int | None = None,
    out_weights: Path | None = None,
) -> list[str]:
    """Writes ``net`` with the shapes of the source as explicit positions; returns the names of the layers.

    Args:
        comment: the head of the prototxt.
        patterns: of layers; none: all active ones of ``net``.
        iteration: as for :func:`export_shapes`.
        out_weights: where to write the weights of the source, a caffemodel, so that they fit ``out``.

    UserError if anything is wrong, as where a shape has no counterpart.
    """
    if out.suffix in (*FORMS, _NPZ):
        raise UserError(f"{out}: with --net a network is written, a .prototxt")
    outputs = [out, out_weights] if out_weights else [out]
    if out_weights and source.suffix != _WEIGHTS:
        raise UserError(f"{source}: --out-weights are made of those of a {_WEIGHTS}, which this is not")
    refuse_overwriting([net, *files_of(source)], outputs)
    shapes, described = shapes_of(source, iteration), read_prototxt(net)
    with naming(net):
        names = chosen(active_names(described), patterns)
    with naming(source):
        list_shapes(described, shapes, names)
    contents: dict[Path, str | bytes] = {out: format_prototxt(described, comment)}
    if out_weights:
        weights = read_net(source)
        with naming(source):
            list_weights(weights, described, names)
        contents[out_weights] = weights.SerializeToString()
    write_together(contents)
    return names
