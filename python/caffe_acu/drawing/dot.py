"""The text that Graphviz draws: boxes, frames, arrows, columns, and a legend."""

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape

from caffe_acu.drawing.blocks import Blocks, Frame
from caffe_acu.drawing.boxes import Box
from caffe_acu.drawing.columns import columns_of
from caffe_acu.drawing.words import Kind
from caffe_acu.plots.figures import COLOURS, GREY

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
    shape=box style=filled fillcolor=white margin="0.1,0.04" height=0]
  edge [color="{faint}" penwidth=0.9 arrowsize=0.5]
"""


def dot_text(title: str, blocks: Blocks, columns: int | None = None) -> str:
    """A digraph, top to bottom, in ``columns`` columns (see :func:`columns_of`); the same text for the same network."""
    boxes, names = blocks.boxes, _names(blocks.boxes)
    column = columns_of(blocks, columns)
    lines = [
        f"digraph {_quoted(title or 'network')} {{",
        _HEAD.format(ink=_INK, faint=_FAINT, columns=max(column, default=0) + 1),
    ]
    lines.append(f"  label=<{_legend(title, blocks)}>")
    frame_of = {i: frame for frame in blocks.frames for i in frame.boxes}
    # Columns stand in the order in which their first boxes are named.
    for i, box in enumerate(boxes):
        if i not in frame_of:
            lines.append(f"  {_node(names[i], box)}")
        elif i == frame_of[i].boxes[0]:
            lines += _frame(frame_of[i], f"cluster_{i}", boxes, names)
    lines += [f"  {edge}" for edge in _edges(boxes, names, column)]
    return "\n".join([*lines, "}"]) + "\n"


def _frame(frame: Frame, name: str, boxes: list[Box], names: list[str]) -> list[str]:
    # On two lines, short enough to leave the middle to the arrow that comes in.
    title = escape(frame.title).replace(", ", '<BR ALIGN="LEFT"/>', 1)
    lines = [
        f"subgraph {name} {{",
        f'  label=<{title}<BR ALIGN="LEFT"/>>',
        f'  color="{GREY}" style=rounded fontsize=9 fontcolor="{_FAINT}" margin=6',
        *(f"  {_node(names[i], boxes[i])}" for i in frame.boxes),
        *(f"  {order}" for order in _side_by_side(frame.boxes, boxes, names)),
    ]
    if frame.times > 1:
        times, middle = f"times_{name}", names[frame.boxes[len(frame.boxes) // 2]]
        lines.append(f'  {times} [shape=plain style="" label=<<B><FONT POINT-SIZE="14">× {frame.times}</FONT></B>>]')
        lines.append(f"  {{ rank=same; {times} -> {middle} [style=invis] }}")
    return [f"  {line}" for line in [*lines, "}"]]


def _side_by_side(inside: Sequence[int], boxes: list[Box], names: list[str]) -> Iterator[str]:
    """Branches from left to right in the network's order."""
    branches: dict[tuple[int, ...], list[str]] = {}
    for i in inside:
        if len(boxes[i].sources) == 1:
            branches.setdefault(boxes[i].sources, []).append(names[i])
    for ends in branches.values():
        if len(ends) > 1:
            yield f"{{ rank=same; {' -> '.join(ends)} [style=invis] }}"


def _names(boxes: list[Box]) -> list[str]:
    """Names of layers as identifiers, which viewers of an SVG show below the mouse."""
    seen: Counter[str] = Counter()
    names = []
    for box in boxes:
        name = box.layers[0]
        seen[name] += 1
        names.append(_quoted(name if seen[name] == 1 else f"{name} ({seen[name]})"))
    return names


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
    depths: list[int] = []
    for box in boxes:
        depths.append(max((depths[source] + 1 for source in box.sources), default=0))
    trunk = _trunk(boxes, depths)
    joints: set[int] = set()
    for i, box in enumerate(boxes):
        sources = box.sources
        if box.kind == Kind.OPERATOR:  # the shortcut on the right
            sources = sorted(sources, key=lambda source: -depths[source])
        for source in sources:
            options = [f"weight={_STRAIGHT}"] if (source, i) in trunk else []
            begin, length = names[source], depths[i] - depths[source]
            if column[source] != column[i]:
                begin, end = f"to{column[i]}", f"from{column[i]}"
                if column[i] not in joints:
                    joints.add(column[i])
                    joint = f'shape=circle fixedsize=true width=0.2 fontsize=8 label="{chr(64 + column[i])}"'
                    yield f"{end} [{joint}]"
                    yield f"{begin} [{joint}]"
                    yield f"{names[source]} -> {end} [weight={_STRAIGHT}]"
            if length > 1:  # lets branches begin side by side, and wait at their end
                options.append(f"minlen={length}")
            yield f"{begin} -> {names[i]}" + (f" [{' '.join(options)}]" if options else "")


def _trunk(boxes: list[Box], depths: list[int]) -> set[tuple[int, int]]:
    """The arrows of the longest way through the network, or the first of them; they go straight down."""
    heights = [0] * len(boxes)  # above the last box
    readers: list[list[int]] = [[] for _ in boxes]
    for i in reversed(range(len(boxes))):
        for source in boxes[i].sources:
            heights[source] = max(heights[source], heights[i] + 1)
            readers[source].insert(0, i)
    ways = ((max(box.sources, key=lambda j: depths[j]), i) for i, box in enumerate(boxes) if box.sources)
    return {(source, i) for source, i in ways if i == max(readers[source], key=lambda j: heights[j])}


def _legend(title: str, blocks: Blocks) -> str:
    rows = [f'<TR><TD COLSPAN="2" ALIGN="LEFT"><FONT POINT-SIZE="13"><B>{escape(title)} </B></FONT></TD></TR>']
    acus = sum(times for times, box in zip(blocks.times(), blocks.boxes, strict=True) if box.kind == Kind.ACU)
    if acus:
        swatch = f'<TD BGCOLOR="{_FILLS[Kind.ACU]}" BORDER="1" WIDTH="22"></TD>'
        rows.append(f'<TR>{swatch}<TD ALIGN="LEFT">ACU, {acus} layer{"" if acus == 1 else "s"}</TD></TR>')
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="3" CELLPADDING="1">{"".join(rows)}</TABLE>'
