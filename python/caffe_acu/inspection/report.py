"""Statistics and differences of layers as text, Markdown, CSV and data."""

import csv
import io
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from caffe_acu.inspection.box import Box
from caffe_acu.inspection.difference import LayerDifference
from caffe_acu.inspection.receptive_field import NotFollowed, ReceptiveField, WholeImage
from caffe_acu.inspection.statistics import LayerStatistics
from caffe_acu.start_shapes import Pair
from caffe_acu.tables import Line, Table, aligned, markdown

_LINE = 120  # characters
_LEGEND = (
    "Pixels of the layer's input, of synapses that may move; moved: distance from the start, mean and largest; radius: "
    "mean distance from the base point; x, y: from the first synapse to the last; spread: of a synapse between sets, "
    "root mean square; kernel: the convolution on the lattice that the layer is equal to, its taps (mean of a set) and "
    "the share of zeros; sees: what a unit depends on through the network, in input pixels, real-valued and in whole "
    "pixels; step: between neighbouring units; sizes are height x width."
)


def as_text(statistics: Sequence[LayerStatistics]) -> str:
    notes = (textwrap.fill(note, _LINE) for note in _notes(statistics))
    return "\n\n".join([aligned(_table(statistics)), *notes])


def as_markdown(statistics: Sequence[LayerStatistics]) -> str:
    return "\n\n".join([markdown(_table(statistics)), *_notes(statistics)])


def as_data(statistics: Sequence[LayerStatistics]) -> list[dict[str, Any]]:
    """For JSON: fields as in LayerStatistics; ``reach`` has a ``kind``: box, whole image or unknown."""
    return [asdict(layer) | {"reach": _reach_data(layer)} for layer in statistics]


def as_csv(statistics: Sequence[LayerStatistics]) -> str:
    """A line for each layer, in full precision, the same columns always; empty: what is not known."""
    rows = [_flat(layer) for layer in statistics]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().rstrip("\n")


def difference_data(first: str, second: str, layers: Sequence[LayerDifference]) -> dict[str, Any]:
    """For JSON: a summary for each layer, and ``dx`` and ``dy`` (sets, K) in pixels, of ``second`` from ``first``."""
    return {
        "first": first,
        "second": second,
        "layers": [
            {
                "layer": layer.layer,
                "type": layer.type,
                "mean": layer.mean,
                "rms": layer.rms,
                "max": layer.max,
                "farthest": dict(zip(("set", "synapse"), layer.farthest, strict=True)),
                "dx": layer.dx.tolist(),
                "dy": layer.dy.tolist(),
            }
            for layer in layers
        ],
    }


def difference_text(first: str, second: str, layers: Sequence[LayerDifference]) -> str:
    """The layers side by side, then each synapse."""
    summary: Table = [("layer", "type", "sets", "K", "mean", "rms", "at most", "where")]
    for layer in layers:
        sets, synapses = layer.free.shape
        numbers = (f"{value:.3f}" for value in (layer.mean, layer.rms, layer.max))
        summary.append((layer.layer, layer.type, str(sets), str(synapses), *numbers, _where(layer)))
    return "\n\n".join(
        [
            f"from {first}\nto   {second}",
            "Distances in pixels of the layer's input, of synapses that may move:\n" + aligned(summary),
            *map(_synapses, layers),
        ]
    )


def _where(layer: LayerDifference) -> str:
    s, k = layer.farthest
    return f"synapse {k}" if len(layer.free) == 1 else f"synapse {k} of set {s}"


def _synapses(layer: LayerDifference) -> str:
    sets = len(layer.free)
    table: Table = [("synapse", "dx", "dy", "mean", "at most")]
    for k in range(layer.free.shape[1]):
        values = layer.dx[:, k].mean(), layer.dy[:, k].mean(), layer.distance[:, k].mean(), layer.distance[:, k].max()
        table.append((str(k), *(f"{value:.3f}" for value in values)))
    if sets == 1:
        return f"{layer.layer}\n" + aligned([line[:4] for line in table]).replace("mean", "moved", 1)
    return f"{layer.layer}, means over {sets} sets\n" + aligned(table)


def _table(statistics: Sequence[LayerStatistics]) -> Table:
    table: Table = [
        ("layer", "type", "sets", "K", "moved", "at most", "radius", "x", "y", "spread", "kernel", "taps", "zeros")
        + ("sees", "pixels", "step")
    ]
    for layer in statistics:
        numbers = (layer.mean_displacement, layer.max_displacement, layer.mean_radius)
        box = layer.extent
        table.append(
            (layer.layer, layer.type, str(layer.sets), str(layer.synapses), *(f"{value:.3f}" for value in numbers))
            + (f"{box.left:.2f} to {box.right:.2f}", f"{box.top:.2f} to {box.bottom:.2f}", f"{layer.spread:.3f}")
            + (_by(layer.pixels.size), f"{layer.taps} ({layer.mean_taps:.1f})", f"{layer.sparsity:.0%}", *_sees(layer))
        )
    return table


def _sees(layer: LayerStatistics) -> Line:
    reach = layer.reach
    if isinstance(reach, ReceptiveField):
        return _by(reach.extent.size, 1), _by(reach.pixels.size), _by(reach.jump)
    return ("all", "all", "") if isinstance(reach, WholeImage) else ("?", "?", "")


def _by(size: tuple[float, float], decimals: int = 0) -> str:
    return "x".join(f"{length:.{decimals}f}" for length in size)


def _notes(statistics: Sequence[LayerStatistics]) -> list[str]:
    reasons = dict.fromkeys(layer.reach.why for layer in statistics if isinstance(layer.reach, NotFollowed))
    return [*(f"?: {reason}" for reason in reasons), _LEGEND]


def _reach_data(layer: LayerStatistics) -> dict[str, Any]:
    reach = layer.reach
    return {"kind": _kind(layer)} | asdict(reach)


def _kind(layer: LayerStatistics) -> str:
    return {ReceptiveField: "box", WholeImage: "whole image", NotFollowed: "unknown"}[type(layer.reach)]


def _flat(layer: LayerStatistics) -> dict[str, Any]:
    field = layer.reach if isinstance(layer.reach, ReceptiveField) else None
    return (
        {"layer": layer.layer, "type": layer.type, "sets": layer.sets, "synapses": layer.synapses}
        | _pair("kernel", layer.kernel_size)
        | _pair("stride", layer.stride)
        | {"groups": layer.groups}
        | {"mean_displacement": layer.mean_displacement, "max_displacement": layer.max_displacement}
        | {"mean_radius": layer.mean_radius, "max_radius": layer.max_radius, "spread": layer.spread}
        | _box("extent", layer.extent)
        | _box("pixels", layer.pixels)
        | {"taps": layer.taps, "mean_taps": layer.mean_taps, "sparsity": layer.sparsity, "reach": _kind(layer)}
        | _pair("jump", field and field.jump)
        | _box("field_extent", field and field.extent)
        | _box("field_pixels", field and field.pixels)
    )


def _pair(name: str, pair: Pair | None) -> dict[str, int | None]:
    return dict(zip((f"{name}_height", f"{name}_width"), pair or (None, None), strict=True))


def _box(name: str, box: Box | None) -> dict[str, float | None]:
    return {f"{name}_{end}": box and getattr(box, end) for end in ("left", "top", "right", "bottom")}
