"""The text that Graphviz draws: boxes, frames, arrows, columns, and a legend."""

from collections.abc import Iterator, Sequence
from html import escape

from caffe_acu.drawing.arrangement import depths_of, places, trunk
from caffe_acu.drawing.blocks import Blocks, Frame
from caffe_acu.drawing.boxes import Box
from caffe_acu.drawing.columns import columns_of
from caffe_acu.drawing.words import Kind
from caffe_acu.plots.colours import COLOURS, GREY

_INK, _FAINT = "#222222", "#666666"
_FILLS = {
    Kind.CONVOLUTION: "#e8f1f8",
    Kind.ACU: COLOURS[4],
    Kind.POOLING: "#e3e3e3",
    Kind.CONCAT: "#555555",
}
_STRAIGHT = 500  # weight of an arrow that should be
_HEAD = """\
  graph [fontname="Helvetica,Arial,sans-serif" fontsize=11 fontcolor="{ink}" bgcolor="white" pad=0.15
    nodesep=0.2 ranksep=0.17 labelloc=t labeljust=l pack=20 packmode=array_it{columns}]
  node [fontname="Helvetica,Arial,sans-serif" fontsize=10 fontcolor="{ink}" color="{faint}" penwidth=0.8
    shape=box style=filled fillcolor=white margin="0.12,0.04" height=0]
  edge [color="{faint}" penwidth=0.9 arrowsize=0.5]
"""


def dot_text(title: str, blocks: Blocks, columns: int | None = None) -> str:
    """A digraph, top to bottom, in ``columns`` columns (see :func:`columns_of`); the same text for the same network."""
    boxes, names = blocks.boxes, _names(blocks.boxes)
    column = columns_of(blocks, columns)
    head = _HEAD.format(ink=_INK, faint=_FAINT, columns=max(column) + 1)
    lines = [f"digraph {_quoted(title or 'network')} {{", f"{head}  {_legend(title, blocks)}"]
    frame_of = {i: frame for frame in blocks.frames for i in frame.boxes}
    # Columns stand in the order in which their first boxes are named.
    for i, box in enumerate(boxes):
        if i not in frame_of:
            lines.append(f"  {_node(names[i], box)}")
        elif i == frame_of[i].boxes[0]:
            lines += _frame(frame_of[i], f"cluster_{i}", boxes, names)
    unframed = [i for i in range(len(boxes)) if i not in frame_of]
    lines += [f"  {line}" for line in (*_side_by_side(unframed, boxes, names), *_edges(boxes, names, column))]
    return "\n".join([*lines, "}"]) + "\n"


def _frame(frame: Frame, name: str, boxes: list[Box], names: list[str]) -> list[str]:
    # On two lines, short enough to leave the middle to the arrow that comes in.
    title = _left(escape(frame.title).split(", ", 1))
    lines = [
        f"subgraph {name} {{",
        f"  label=<{title}>",
        f'  color="{GREY}" style=rounded fontsize=9 fontcolor="{_FAINT}" margin=6',
        *(f"  {_node(names[i], boxes[i])}" for i in frame.boxes),
        *(f"  {order}" for order in _side_by_side(frame.boxes, boxes, names)),
    ]
    if frame.times > 1:
        times, middle = f'" times {name}"', names[frame.boxes[len(frame.boxes) // 2]]
        lines.append(f'  {times} [shape=plain style="" label=<<B><FONT POINT-SIZE="14">× {frame.times}</FONT></B>>]')
        lines.append(f"  {{ rank=same; {times} -> {middle} [style=invis] }}")
    return [f"  {line}" for line in [*lines, "}"]]


def _side_by_side(inside: Sequence[int], boxes: list[Box], names: list[str]) -> Iterator[str]:
    """Branches from left to right: in the order in which they are concatenated, or the longest first."""
    branches: dict[tuple[int, ...], list[int]] = {}
    for i in inside:
        if len(boxes[i].sources) == 1:
            branches.setdefault(boxes[i].sources, []).append(i)
    place = places(boxes)
    for beginnings in branches.values():
        if len(beginnings) > 1:
            ordered = sorted(beginnings, key=lambda i: place[i])
            yield f"{{ rank=same; {' -> '.join(names[i] for i in ordered)} [style=invis] }}"


def _names(boxes: list[Box]) -> list[str]:
    """Names of layers as identifiers, which viewers of an SVG show below the mouse."""
    names: dict[str, None] = {}
    for box in boxes:
        name, number = box.layers[0], 2
        while _quoted(name) in names:
            name, number = f"{box.layers[0]} ({number})", number + 1
        names[_quoted(name)] = None
    return list(names)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "/").replace('"', "'") + '"'


def _node(name: str, box: Box) -> str:
    title, size = escape(box.words.title), "×".join(map(str, box.size))
    if box.kind == Kind.OPERATOR:
        return f'{name} [shape=circle fixedsize=true width={0.24 if len(title) == 1 else 0.42} label="{title}"]'
    if box.kind == Kind.FUNCTION:
        return f'{name} [fontsize=9 style="filled,rounded" margin="0.08,0.02" label="{title}"]'
    fill = f'fillcolor="{_FILLS.get(box.kind, "white")}"'
    if box.kind == Kind.CONCAT:
        bar = 'fontcolor=white fontsize=8 width=2.5 margin="0.1,0.01"'
        return f'{name} [{fill} {bar} label="{title} {size}"]'
    small = [box.words.note, " · ".join(part for part in (box.followers, size) if part)]
    rows = [f"<B>{title}</B>" if box.kind == Kind.ACU else title]
    rows += [f'<FONT POINT-SIZE="8">{escape(line)}</FONT>' for line in small if line]
    rounded = ' style="filled,rounded"' if box.kind in (Kind.INPUT, Kind.OUTPUT) else ""
    return f'{name} [{fill}{rounded} class="{box.kind.value}" label=<{"<BR/>".join(rows)}>]'


def _edges(boxes: list[Box], names: list[str], column: list[int]) -> Iterator[str]:
    depths, straight = depths_of(boxes), trunk(boxes)
    joints: set[int] = set()
    for i, box in enumerate(boxes):
        for source in box.sources:
            options = [f"weight={_STRAIGHT}"] if (source, i) in straight else []
            begin, length = names[source], depths[i] - depths[source]
            if column[source] != column[i]:
                begin, end = f'" joint to {column[i]}"', f'" joint from {column[i]}"'
                if column[i] not in joints:  # an arrow to a letter, and one from it
                    joints.add(column[i])
                    joint = f'shape=circle fixedsize=true width=0.2 fontsize=8 label="{chr(64 + column[i])}"'
                    yield f"{end} [{joint}]"
                    yield f"{begin} [{joint}]"
                    yield f"{names[source]} -> {end} [weight={_STRAIGHT}]"
            if length > 1:  # lets branches begin side by side, and wait at their end
                options.append(f"minlen={length}")
            yield f"{begin} -> {names[i]}" + (f" [{' '.join(options)}]" if options else "")


def _legend(title: str, blocks: Blocks) -> str:
    lines = [f'<FONT POINT-SIZE="13"><B>{escape(title)}</B></FONT>'] if title else []
    acus = sum(times for times, box in zip(blocks.times(), blocks.boxes, strict=True) if box.kind == Kind.ACU)
    if acus:
        swatch = f'<FONT POINT-SIZE="16" COLOR="{_FILLS[Kind.ACU]}">■</FONT>'
        # No-break, for viewers take plain blanks away from the beginning of a text.
        lines.append(f"{swatch}&#160;ACU, {acus} layer{'' if acus == 1 else 's'}")
    return f"label=<{_left(lines)}>" if lines else ""


def _left(lines: Sequence[str]) -> str:
    return "".join(f'{line}<BR ALIGN="LEFT"/>' for line in lines)
