"""The shapes that active convolutions start from and learn, from pycaffe, from files of Caffe, from runs.

:func:`read` and :func:`read_movement` take any of them. Units and arrays are those of ``layer_positions``.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from caffe_acu import position_log
from caffe_acu.active_layer import ACTIVE_TYPES, ActiveLayer, check_division, label, read_active_layer
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError, naming
from caffe_acu.layer_positions import LayerPositions, LayerSeries
from caffe_acu.net_param import blob_array, read_net
from caffe_acu.position_files import by_iteration, iteration_of, movement_in, prototxt_in, snapshots_in

__all__ = [
    "LayerPositions",
    "LayerSeries",
    "files_of",
    "iteration_of",
    "log_of",
    "moment_of",
    "network_of",
    "read",
    "read_movement",
    "read_positions",
    "read_series",
]

_WEIGHT_BLOB, _X_BLOB, _Y_BLOB, _BLOBS = 0, 2, 3, 4  # 1: bias
_Layer = TypeVar("_Layer", LayerPositions, LayerSeries)


class CaffeNet(Protocol):
    """What is needed of a ``caffe.Net``."""

    def save(self, path: str) -> None: ...


Source = CaffeNet | str | Path | Iterable[str | Path]


def read(source: Source, net: str | Path | None = None, iteration: int | None = None) -> list[LayerPositions]:
    """The active layers of whatever has positions, in the order of the network.

    Args:
        source: a pycaffe net; a caffemodel, with the positions it has learned, or a prototxt, with those it starts
            from; snapshots of one run, as a list or their folder; a position log, or an npz of it; the folder of a
            run, with positions.npz, positions.log or snapshots in it. The start that displacements are measured from
            is the network's own, but the first record of a log or npz.
        net: prototxt or caffemodel of the network, which tells what a log cannot, stride and groups. In the folder of
            a run train_val.prototxt or deploy.prototxt is found.
        iteration: of a source that has several moments (default: the last).

    UserError if the source cannot be read, has no active layer, not this iteration, or positions that are not finite.
    """
    found, net = _found(source, net)
    if isinstance(found, dict):
        where = _chosen(found, iteration)
        layers = read_positions(where)
    elif isinstance(found, Path) and _is_over_time(found):
        where, series = found, _over_time(found)
        with naming(where):
            layers = [layer.last if iteration is None else layer.at(iteration) for layer in series]
    else:
        where = found if isinstance(found, Path) else "pycaffe net"
        if iteration is not None:
            raise UserError(f"{where}: holds one moment; an iteration is chosen of a run, a log or several snapshots")
        layers = read_positions(found) if isinstance(found, Path) else _active_layers(_message_of(found), where)
    _require_finite(layers, where)
    return layers if net is None else _described(layers, net, where)


def read_movement(source: Source, net: str | Path | None = None) -> list[LayerSeries]:
    """The movement of each active layer over a training; arguments and errors as :func:`read`.

    Of a single snapshot there is one moment. UserError for what tells no iteration: a prototxt, a pycaffe net.
    """
    found, net = _found(source, net)
    where: object = found
    if isinstance(found, dict):
        series = read_series(found.values())
        where = found[max(found)].parent
    elif isinstance(found, Path):
        series = _over_time(found) if _is_over_time(found) else read_series([found])
    else:
        raise UserError("a pycaffe net holds one moment; give the snapshots, the position log or the folder of a run")
    _require_finite(series, where)
    return series if net is None else _described(series, net, where)


def network_of(source: Source, net: str | Path | None = None) -> "caffe_pb2.NetParameter | None":
    """The description of the network of a source, arguments as for :func:`read`: that of ``net``, else what the source
    or its folder has; None of a log or npz alone."""
    found, net = _found(source, net)
    if net is not None:
        return read_net(net)
    if isinstance(found, dict):
        return read_net(found[max(found)])
    if isinstance(found, Path):
        return None if _is_over_time(found) else read_net(found)
    return _message_of(found)


def files_of(source: Source) -> list[Path]:
    """The files that :func:`read` and :func:`read_movement` read of a source; none of a pycaffe net."""
    found, _ = _found(source, None)
    return list(found.values()) if isinstance(found, dict) else [found] if isinstance(found, Path) else []


def moment_of(source: Source) -> int | None:
    """The iteration that :func:`read` reads, if it is told none; None where the source does not tell it."""
    found, _ = _found(source, None)
    if isinstance(found, dict):
        return max(found)
    if not isinstance(found, Path):
        return None
    if _is_over_time(found):
        return int(_over_time(found)[0].iterations[-1])
    try:
        return iteration_of(found)
    except UserError:
        return None


def log_of(source: Source) -> Path | None:
    """The position log, or the npz of one, that the source is or has in its folder: what :func:`read` reads then."""
    found, _ = _found(source, None)
    return found if isinstance(found, Path) and _is_over_time(found) else None


def read_positions(path: str | Path) -> list[LayerPositions]:
    """The active layers of a prototxt or a caffemodel, in the order of the net.

    Where a layer has no blobs, as in every prototxt, its positions are those it would start from (one set
    of them for each position set, without noise). UserError if the file cannot be read or has none.
    """
    return _active_layers(read_net(path), path)


def read_series(paths: Iterable[str | Path]) -> list[LayerSeries]:
    """The movement of each layer over the snapshots of one run, sorted by the N of ``_iter_N.caffemodel``."""
    files = by_iteration(paths)
    first = next(iter(files.values()))
    snapshots = [read_positions(path) for path in files.values()]
    for path, layers in zip(files.values(), snapshots, strict=True):
        if _layout(layers) != _layout(snapshots[0]):
            raise UserError(f"{path}: its active layers are not those of {first}")
    return [
        LayerSeries(
            layer=history[-1].layer,
            type=history[-1].type,
            iterations=np.array(list(files)),
            x=np.stack([moment.x for moment in history]),
            y=np.stack([moment.y for moment in history]),
            fixed=history[-1].fixed,
            kernel_size=history[-1].kernel_size,
            warmup_iter=history[-1].warmup_iter,
            stride=history[-1].stride,
            groups=history[-1].groups,
        )
        for history in zip(*snapshots, strict=True)
    ]


def _found(source: Source, net: str | Path | None) -> tuple[CaffeNet | Path | dict[int, Path], str | Path | None]:
    """The pycaffe net, one file, or snapshots by iteration; and the file that describes the network, if there is."""
    if hasattr(source, "save"):
        return source, net
    if not isinstance(source, str | Path):
        files = [Path(file) for file in source]
        if len(files) == 1:
            return _found(files[0], net)
        for file in files:
            if file.is_dir() or _is_over_time(file):
                what = "a folder" if file.is_dir() else "a position log"
                raise UserError(f"{file}: {what}, which holds a whole run; give it without other files")
        return by_iteration(files), net
    path = Path(source)
    if not path.is_dir():
        return path, net
    if file := movement_in(path):
        return file, net or prototxt_in(path)
    if snapshots := snapshots_in(path):
        return by_iteration(snapshots), net
    raise UserError(
        f"{path}: neither positions.npz nor positions.log nor snapshots, <prefix>_iter_<N>.caffemodel, in this folder"
    )


def _chosen(snapshots: dict[int, Path], iteration: int | None) -> Path:
    if iteration is None:
        return snapshots[max(snapshots)]
    if iteration not in snapshots:
        folder = snapshots[max(snapshots)].parent
        raise UserError(f"{folder}: no snapshot of iteration {iteration}; there are {', '.join(map(str, snapshots))}")
    return snapshots[iteration]


def _is_over_time(path: Path) -> bool:
    return path.suffix == ".npz" or position_log.is_position_log(path)


def _over_time(path: Path) -> list[LayerSeries]:
    """What a position log or an npz of it holds."""
    return position_log.load_npz(path) if path.suffix == ".npz" else position_log.read_position_log(path)


def _message_of(net: CaffeNet) -> "caffe_pb2.NetParameter":
    # Only what pycaffe saves has the descriptions of layers; the file is one in memory.
    with open(os.memfd_create("net"), "rb") as file:
        net.save(f"/proc/self/fd/{file.fileno()}")
        return caffe_pb2.NetParameter.FromString(file.read())


def _described(layers: list[_Layer], net: str | Path, where: object) -> list[_Layer]:
    """With stride and groups as a description of the network tells them."""
    known = {layer.layer: layer for layer in read_positions(net)}
    for layer in layers:
        sets, synapses = layer.x.shape[-2:]
        if layer.layer not in known or known[layer.layer].x.shape != (sets, synapses):
            raise UserError(
                f"{net}: no ACU layer {layer.layer!r} of {sets} set(s) and {synapses} synapses in it, as in {where}; "
                "give the network of this run"
            )
    return [replace(layer, stride=known[layer.layer].stride, groups=known[layer.layer].groups) for layer in layers]


def _require_finite(layers: Sequence[LayerPositions | LayerSeries], where: object) -> None:
    for layer in layers:
        wrong = np.argwhere(~np.isfinite(layer.xy).all(axis=-1))
        if len(wrong):
            *moment, s, k = wrong[0]
            when = f" from iteration {layer.iterations[moment[0]]} on" if moment else ""
            raise UserError(
                f"{where}: layer {layer.layer!r}: synapse {k} of set {s} is nowhere (not a number, or infinite){when}: "
                "the training diverged; take an earlier iteration, or another seed"
            )


def _layout(layers: list[LayerPositions]) -> list[tuple[str, tuple[int, ...]]]:
    return [(positions.layer, positions.x.shape) for positions in layers]


def _active_layers(net: "caffe_pb2.NetParameter", path: str | Path) -> list[LayerPositions]:
    found = {}
    for layer in net.layer:
        if layer.type in ACTIVE_TYPES:
            # A train_val may describe a layer once for each phase; the shapes are the same.
            found.setdefault(layer.name, _layer_positions(layer, path))
    if not found:
        raise UserError(f"{path}: no layer of type {' or '.join(ACTIVE_TYPES)} in it")
    return list(found.values())


def _layer_positions(layer: "caffe_pb2.LayerParameter", path: str | Path) -> LayerPositions:
    description = read_active_layer(layer)
    x = np.tile(description.start_x, (description.sets, 1))
    y = np.tile(description.start_y, (description.sets, 1))
    if layer.blobs:
        x, y = _stored_positions(layer, description, path)
    return LayerPositions(
        layer=layer.name,
        type=layer.type,
        x=x,
        y=y,
        start_x=description.start_x,
        start_y=description.start_y,
        fixed=description.fixed(x, y),
        kernel_size=description.kernel,
        warmup_iter=description.warmup_iter,
        stride=description.stride,
        groups=description.groups,
    )


def _stored_positions(
    layer: "caffe_pb2.LayerParameter", description: ActiveLayer, path: str | Path
) -> tuple[np.ndarray, np.ndarray]:
    shape = (description.sets, description.synapses)
    if len(layer.blobs) != _BLOBS:
        raise UserError(f"{path}: {label(layer)} has {len(layer.blobs)} blobs; weight, bias, x and y make {_BLOBS}")
    x, y = (blob_array(layer.blobs[index]).astype(np.float64) for index in (_X_BLOB, _Y_BLOB))
    if x.size != y.size or x.size != shape[0] * shape[1]:
        raise UserError(
            f"{path}: {label(layer)} has position blobs of shapes {x.shape} and {y.shape}; "
            f"{shape[0]} set(s) of {shape[1]} synapses were expected"
        )
    weight = blob_array(layer.blobs[_WEIGHT_BLOB])
    if weight.ndim == 4:  # the number of channels stands nowhere else
        with naming(path):
            check_division(layer, description, weight.shape[1] * description.groups)
    return x.reshape(shape), y.reshape(shape)
