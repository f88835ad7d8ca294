"""Counts as text, Markdown and data: one network layer by layer, or several side by side."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from caffe_acu.counts.conventions import Convention
from caffe_acu.counts.network import NetworkCount
from caffe_acu.tables import Line, Table, aligned, markdown


def as_data(count: NetworkCount) -> dict[str, Any]:
    """For JSON. ``uncounted`` lists the layers that the totals lack."""
    return {
        "name": count.name,
        "convention": asdict(count.convention),
        "parameters": count.parameters,
        "multiply_adds": count.multiply_adds,
        "uncounted": [asdict(layer) for layer in count.uncounted],
        "types": [asdict(line) for line in count.by_type],
        "layers": [asdict(row) for row in count.rows],
    }


def comparison_data(counts: Mapping[str, NetworkCount]) -> dict[str, Any]:
    """For JSON: totals of several networks, by file."""
    return {
        "convention": asdict(next(iter(counts.values())).convention),
        "networks": [
            {
                "file": file,
                "name": count.name,
                "parameters": count.parameters,
                "multiply_adds": count.multiply_adds,
                "uncounted": [asdict(layer) for layer in count.uncounted],
            }
            for file, count in counts.items()
        ],
    }


def as_text(count: NetworkCount) -> str:
    """Totals, layer by layer, type by type."""
    return "\n\n".join(["\n".join(_notes(count)), aligned(_by_layer(count)), aligned(_by_type(count))])


def as_markdown(count: NetworkCount) -> str:
    return "\n\n".join([markdown(_by_layer(count)), markdown(_by_type(count)), *_notes(count)])


def comparison_text(counts: Mapping[str, NetworkCount]) -> str:
    return "\n\n".join([*_comparison_notes(counts), aligned(_side_by_side(counts))])


def comparison_markdown(counts: Mapping[str, NetworkCount]) -> str:
    return "\n\n".join([markdown(_side_by_side(counts)), *_comparison_notes(counts)])


def _notes(count: NetworkCount) -> list[str]:
    parameters, multiply_adds = _in_short(count)
    notes = [
        f"{count.name or 'network'}: {parameters} parameters, {multiply_adds} multiply-adds for one image",
        _convention_note(count.convention),
    ]
    return [*notes, f"NOT COUNTED, so the totals lack them: {_uncounted(count)}"] if count.uncounted else notes


def _comparison_notes(counts: Mapping[str, NetworkCount]) -> list[str]:
    return [_convention_note(next(iter(counts.values())).convention)]


def _convention_note(convention: Convention) -> str:
    return f"Convention {convention.name} ({convention.description})"


def _uncounted(count: NetworkCount) -> str:
    return ", ".join(f"{layer.name} ({layer.type})" for layer in count.uncounted)


def _by_layer(count: NetworkCount) -> Table:
    table = [("layer", "type", "output", "parameters", "multiply-adds", "note")]
    for row in count.costly_rows:
        output = "x".join(map(str, row.top[1:] if row.top[:1] == (1,) else row.top))
        note = f"shared with {', '.join(row.shared_with)}" if row.shared_with else ""
        table.append((row.name, row.type, output, *_numbers(row), note))
    return _without_empty_columns([*table, (_total(count), "", "", *_numbers(count), "")])


def _by_type(count: NetworkCount) -> Table:
    table = [("type", "layers", "parameters", "multiply-adds")]
    table += [(line.type, str(line.layers), *_numbers(line)) for line in count.by_type]
    return [*table, (_total(count), "", *_numbers(count))]


def _side_by_side(counts: Mapping[str, NetworkCount]) -> Table:
    table = [("network", "parameters", "in short", "multiply-adds", "in short", "NOT COUNTED")]
    for file, count in counts.items():
        parameters, multiply_adds = _numbers(count)
        short = _in_short(count)
        table.append((file, parameters, short[0], multiply_adds, short[1], _uncounted(count)))
    return _without_empty_columns(table)


def _total(count: NetworkCount) -> str:
    return f"total without {len(count.uncounted)} of its layers" if count.uncounted else "total"


def _in_short(count: NetworkCount) -> Line:
    """Parameters and multiply-adds as papers print them; small ones whole, since 0.00M tells nothing."""
    convention = count.convention
    return tuple(
        convention.abbreviate(n) if 100 * n >= convention.mega else f"{n:,}"
        for n in (count.parameters, count.multiply_adds)
    )


def _numbers(line) -> Line:
    return f"{line.parameters:,}", f"{line.multiply_adds:,}"


def _without_empty_columns(table: Table) -> Table:
    kept = [i for i in range(len(table[0])) if any(line[i] for line in table[1:])]
    return [tuple(line[i] for i in kept) for line in table]
