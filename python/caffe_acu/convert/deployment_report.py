"""What a conversion to plain convolutions has changed, as text and as data."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from caffe_acu.convert.deployment import Deployment
from caffe_acu.convert.options import ConvolutionOptions
from caffe_acu.convert.to_convolution import ConvertedLayer
from caffe_acu.start_shapes import Pair
from caffe_acu.tables import Line, aligned
from caffe_acu.wide_kernels import cost

_HEAD = ("layer", "type", "sets", "K", "size", "pad", "zeros", "dropped", "difference", "of limit", "folded in")
_MOST_PARTS = 3  # that are told one by one


def as_text(deployment: Deployment) -> str:
    """A line for each layer that has changed, and totals."""
    lines = [_line(deployment, layer) for layer in deployment.converted.layers]
    used = [i for i in range(len(_HEAD)) if any(line[i] for line in lines)]
    table = aligned([tuple(line[i] for i in used) for line in (_HEAD, *lines)])
    return "\n".join([table, "", *_notes(deployment)])


def as_data(
    deployment: Deployment, options: ConvolutionOptions, command: str, digests: Mapping[Path, str]
) -> dict[str, Any]:
    """For JSON, once NumPy's numbers are. ``digests``: SHA-256 of each file that was read."""
    before, after, times = deployment.before, deployment.after, deployment.times
    blobs = {name: asdict(blob) for name, blob in deployment.differences.blobs.items()}
    return {
        "command": command,
        "inputs": [{"file": path.name, "sha256": digest} for path, digest in digests.items()],
        "options": asdict(options),
        "layers": [_layer_data(deployment, layer) for layer in deployment.converted.layers],
        "kept_active": list(deployment.converted.kept),
        "outputs": {name: blobs[name] for name in deployment.differences.outputs},
        "blobs": blobs,
        "parameters": {"before": before.parameters, "after": after.parameters, "zeros": deployment.zeros},
        "multiply_adds": {
            "before": before.multiply_adds,
            "after": after.multiply_adds,
            "convention": before.convention.name,
        },
        "milliseconds": {**asdict(times), "engine": "Caffe of caffe-acu, CPU"},
    }


def _line(deployment: Deployment, layer: ConvertedLayer) -> Line:
    difference = deployment.differences.layers[layer.name]
    active, convolutions = layer.active, layer.convolutions
    sets, synapses = (str(active.sets), str(active.synapses)) if active else ("", "")
    size = pad = zeros = dropped = ""
    if active and convolutions:
        size = f"{_by(active.extent)} -> {_sizes(layer)}"
        first = convolutions.kernels[0]
        pad = f"{_short(active.pad)} -> {_short(first.pad) if len(convolutions.kernels) == 1 else 'various'}"
        zeros = f"{_zeros(layer):.0%}"
        dropped = f"{convolutions.pruned.dropped:,}" if convolutions.pruned else ""
    types = {one.name: one.type for one in deployment.trained.net.layer}
    folded = ", ".join(types[name] for name in layer.fold.layers) if layer.fold else ""
    differences = f"{difference.largest:.1e}", f"{difference.explained:.1%}"
    return layer.name, layer.layer.type, sets, synapses, size, pad, zeros, dropped, *differences, folded


def _layer_data(deployment: Deployment, layer: ConvertedLayer) -> dict[str, Any]:
    data = {
        "name": layer.name,
        "type": layer.layer.type,
        "folded_in": list(layer.fold.layers) if layer.fold else [],
        "results": list(layer.results),
        "difference": asdict(deployment.differences.layers[layer.name]),
    }
    if not layer.active or not layer.convolutions:
        return data
    pruned = layer.convolutions.pruned
    return data | {
        "synapses": layer.active.synapses,
        "position_sets": layer.active.sets,
        "groups": layer.active.groups,
        "size_before": layer.active.extent,
        "pad_before": layer.active.pad,
        "convolutions": [
            {"size": kernel.weight.shape[2:], "pad": kernel.pad, "dilation": kernel.dilation}
            for kernel in layer.convolutions.kernels
        ],
        "zeros": _zeros(layer),
        "pruned": {"taps": pruned.dropped, "largest_change_for_inputs_to_1": pruned.largest_change} if pruned else None,
    }


def _notes(deployment: Deployment) -> list[str]:
    before, after, times = deployment.before, deployment.after, deployment.times
    blobs = deployment.differences.blobs
    worst = max(blobs, key=lambda name: blobs[name].largest)
    notes = [
        "size: what a layer covers of its input; difference: the largest one of the layer alone, on what it reads in",
        "the network on random inputs; of limit: in percent of what float32 rounding explains"
        + (", without the dropped taps" if _pruned(deployment) else ""),
        "",
        f"largest difference of the network's output: {_of(deployment, deployment.differences.outputs) or 'none'}",
        f"and of all its {len(blobs)} blobs: {_of(deployment, [worst])}",
        f"parameters: {before.parameters:,} -> {after.parameters:,}, {deployment.zeros:,} of them 0",
        f"multiply-adds for one image: {before.multiply_adds:,} -> {after.multiply_adds:,} (`caffe-acu counts`, "
        f"convention {before.convention.name})",
        f"forward pass{_of_shape(times.input_shape)}: {times.before:.3g} ms -> {times.after:.3g} ms "
        f"(this Caffe on {times.cores} CPU cores, median of {times.passes})",
    ]
    if deployment.converted.kept:
        kept = ", ".join(deployment.converted.kept)
        notes.append(f"STILL ACTIVE, so the files are for this Caffe only: {kept}")
    return notes


def _of_shape(shape: Sequence[int]) -> str:
    return f" of {'x'.join(map(str, shape))}" if shape else ""


def _of(deployment: Deployment, names: Sequence[str]) -> str:
    told = []
    for name in names:
        blob = deployment.differences.blobs[name]
        limit = "" if _pruned(deployment) else f", rounding explains {blob.allowed:.1e}"
        told.append(f"{blob.largest:.1e} in {name} (largest value {blob.magnitude:.2g}{limit})")
    return ", ".join(told)


def _pruned(deployment: Deployment) -> bool:
    return any(layer.convolutions and layer.convolutions.pruned for layer in deployment.converted.layers)


def _sizes(layer: ConvertedLayer) -> str:
    kernels = layer.convolutions.kernels if layer.convolutions else ()
    if len(kernels) > _MOST_PARTS:
        return f"{len(kernels)} dilated, {cost(kernels)} taps"
    return " + ".join(
        _by(kernel.weight.shape[2:]) + (f" dilated {_short(kernel.dilation)}" if kernel.dilation != (1, 1) else "")
        for kernel in kernels
    )


def _zeros(layer: ConvertedLayer) -> float:
    """Share of the weights that are 0."""
    weights = [kernel.weight for kernel in layer.convolutions.kernels] if layer.convolutions else []
    return 1 - sum(int((weight != 0).sum()) for weight in weights) / sum(weight.size for weight in weights)


def _by(size: Pair) -> str:
    return f"{size[0]}x{size[1]}"


def _short(pair: Pair) -> str:
    return str(pair[0]) if pair[0] == pair[1] else _by(pair)
