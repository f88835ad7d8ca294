"""Shapes from everything that has them."""

from pathlib import Path

from caffe_acu.errors import UserError, naming
from caffe_acu.positions import read
from caffe_acu.surgery.distance import require_near
from caffe_acu.surgery.shapes import Shape
from caffe_acu.surgery.shapes_file import FORMS, read_shapes


def shapes_of(source: Path, iteration: int | None = None) -> list[Shape]:
    """The shapes in a file of shapes, or in whatever ``positions.read`` reads; ``iteration``: as there.

    UserError if there are none, or for positions that are not finite or out of all proportion.
    """
    if source.suffix in FORMS and not source.is_dir():
        if iteration is not None:
            raise UserError(f"{source}: holds one moment; an iteration is chosen of a run or a log")
        return read_shapes(source)
    layers = read(source, iteration=iteration)
    for layer in layers:
        with naming(f"{source}: layer {layer.layer!r}"):
            require_near(layer.x, layer.y)
    return [Shape(layer.layer, layer.type, layer.x, layer.y) for layer in layers]
