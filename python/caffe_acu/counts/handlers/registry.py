"""What a handler is and returns, and the table of them."""

from collections.abc import Callable
from dataclasses import dataclass

from caffe_acu.active_layer import label
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.counts.conventions import Synapses
from caffe_acu.errors import UserError

Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerCount:
    """What a layer has and does, for the whole batch and before any convention."""

    tops: list[Shape]
    learned: tuple[int, ...] = ()  # number of learned values in each of Caffe's blobs but x and y
    products: int = 0  # with learned weights
    interpolated: int = 0  # values that an active convolution interpolates
    synapses: Synapses | None = None  # where there are some, x and y are the last two blobs


Handler = Callable[["caffe_pb2.LayerParameter", list[Shape]], LayerCount]
HANDLERS: dict[str, Handler] = {}
FREE: set[str] = set()  # types that neither learn nor multiply, whatever their bottoms are


def handles(*types: str, bottoms: int = 1, free: bool = False) -> Callable[[Handler], Handler]:
    """Registers a handler, which then may rely on ``bottoms`` bottoms at least; it must return a shape for every top.

    ``free``: the types belong to FREE.
    """

    def register(handler: Handler) -> Handler:
        def checked(layer: "caffe_pb2.LayerParameter", shapes: list[Shape]) -> LayerCount:
            if len(shapes) < bottoms:
                raise UserError(f"{label(layer)}: {len(shapes)} bottoms; it needs {bottoms}")
            count = handler(layer, shapes)
            if len(layer.top) > len(count.tops):
                raise UserError(f"{label(layer)}: {len(layer.top)} tops; it makes {len(count.tops)}")
            return count

        for type_ in types:
            HANDLERS[type_] = checked
        FREE.update(types if free else ())
        return handler

    return register


def axis_of(layer: "caffe_pb2.LayerParameter", shape: Shape, axis: int, axes: int = 1) -> int:
    """``axis`` counted from the front; UserError unless ``axes`` axes start there."""
    first = axis + len(shape) if axis < 0 else axis
    if first < 0 or first + axes > len(shape):
        raise UserError(f"{label(layer)}: axis {axis} is not one of its bottom of shape {shape}")
    return first


def require_axes(layer: "caffe_pb2.LayerParameter", shape: Shape, least: int, most: int | None = None) -> None:
    """UserError unless the shape has from ``least`` to ``most`` axes."""
    if not least <= len(shape) <= (most or len(shape)):
        wanted = f"{least}" if most == least else f"at least {least}"
        raise UserError(f"{label(layer)}: its bottom has shape {shape}; {wanted} axes were expected")


def require_positive(layer: "caffe_pb2.LayerParameter", **values: int) -> None:
    """UserError for the first value below 1, by its name in the prototxt."""
    for name, value in values.items():
        if value < 1:
            raise UserError(f"{label(layer)}: {name} must be at least 1, not {value}")
