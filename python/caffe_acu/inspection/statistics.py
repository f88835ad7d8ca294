"""What positions say about a layer, in numbers: movement, reach, spread between sets, the convolution it equals."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.inspection.box import Box
from caffe_acu.inspection.receptive_field import NotFollowed, Reach, extent_of, pixels_of, receptive_fields
from caffe_acu.kernels import statistics as kernel_statistics
from caffe_acu.layer_positions import LayerPositions
from caffe_acu.positions import Source, network_of, read
from caffe_acu.start_shapes import Pair


@dataclass(frozen=True)
class LayerStatistics:
    """Of one active layer, in pixels of its bottom. Free synapses are those that may move."""

    layer: str
    type: str
    sets: int  # position sets
    synapses: int  # K, of each set
    kernel_size: Pair  # of the blobs, height and width
    stride: Pair | None  # None where the source cannot tell
    groups: int | None
    mean_displacement: float  # of free synapses, distance from the start
    max_displacement: float
    mean_radius: float  # of free synapses, distance from the base point
    max_radius: float
    # Root mean square, over all free synapses of all sets, of the distance to the mean position that the synapse with
    # the same index has over the sets in which it is free. 0 for a single set.
    spread: float
    extent: Box  # around all synapses, fixed ones too, from the base point
    pixels: Box  # around the lattice taps touched: size and origin of the equivalent dense kernel (Theorem 2)
    taps: int  # lattice taps that a synapse of any set takes part of its sample from
    mean_taps: float  # of a set
    sparsity: float  # share of the dense kernel that is 0, mean over the sets
    reach: Reach  # what a unit of the layer depends on through the network, in input pixels


def layer_statistics(positions: LayerPositions, reach: Reach) -> LayerStatistics:
    """UserError, with the layer's name, if a position is out of all proportion."""
    pixels = pixels_of(positions)
    kernel = kernel_statistics(positions.x, positions.y)
    sets, synapses = positions.x.shape
    return LayerStatistics(
        layer=positions.layer,
        type=positions.type,
        sets=sets,
        synapses=synapses,
        kernel_size=positions.kernel_size,
        stride=positions.stride,
        groups=positions.groups,
        mean_displacement=positions.mean_displacement,
        max_displacement=positions.max_displacement,
        mean_radius=positions.mean_radius,
        max_radius=positions.max_radius,
        spread=spread(positions),
        extent=extent_of(positions),
        pixels=pixels,
        taps=kernel.taps,
        mean_taps=float(kernel.taps_of_set.mean()),
        sparsity=kernel.sparsity,
        reach=reach,
    )


def spread(positions: LayerPositions) -> float:
    """How far apart the sets are, in pixels; see LayerStatistics."""
    free = positions.free
    in_how_many = np.maximum(free.sum(axis=0), 1)[:, None]
    mean = (positions.xy * free[..., None]).sum(axis=0) / in_how_many
    squares = ((positions.xy - mean) ** 2).sum(axis=-1)
    return float(np.sqrt(squares[free].mean())) if free.any() else 0.0


def statistics(source: Source, net: str | Path | None = None, iteration: int | None = None) -> list[LayerStatistics]:
    """Of all active layers of whatever has positions; arguments as for :func:`caffe_acu.positions.read`.

    Receptive fields need the network: that of ``net``, else the one that the source or its folder describes. UserError
    as ``read`` and :func:`receptive_fields`.
    """
    if not isinstance(source, str | Path) and not hasattr(source, "save"):
        source = list(source)  # it is read twice
    layers, network = read(source, net, iteration), network_of(source, net)
    try:
        reaches = _reaches(network, layers)
        return [layer_statistics(layer, reach) for layer, reach in zip(layers, reaches, strict=True)]
    except UserError as error:
        where = net or _name(source)
        raise UserError(f"{where}: {error}") from error


def _name(source: Source) -> object:
    if isinstance(source, list):
        return source[-1]
    return source if isinstance(source, str | Path) else "pycaffe net"


def _reaches(network: "caffe_pb2.NetParameter | None", layers: Sequence[LayerPositions]) -> list[Reach]:
    if network is None:
        return [NotFollowed("the network is not known: give its prototxt")] * len(layers)
    fields = receptive_fields(network, layers)
    alone = NotFollowed("the file has layers without their connections: give the network's prototxt")
    return [fields.get(layer.layer, alone) for layer in layers]
