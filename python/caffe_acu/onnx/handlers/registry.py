"""What a handler is, and the table of them."""

from collections.abc import Callable
from typing import NoReturn

from caffe_acu.active_layer import label
from caffe_acu.errors import UserError
from caffe_acu.onnx.dataflow import Step, Value
from caffe_acu.onnx.writer import Writer

Handler = Callable[[Step, Writer], None]
Question = Callable[[Step], bool]

HANDLERS: dict[str, Handler] = {}
# Whether a layer takes the first axis for anything but images that it works on one by one; by type, where it can.
MIXES_IMAGES: dict[str, Question] = {}


def handles(*types: str, mixes_images: Question | None = None) -> Callable[[Handler], Handler]:
    """Registers a handler, which writes nodes that make all tops of its step."""

    def register(handler: Handler) -> Handler:
        for type_ in types:
            HANDLERS[type_] = handler
            if mixes_images:
                MIXES_IMAGES[type_] = mixes_images
        return handler

    return register


def write(step: Step, out: Writer) -> None:
    """Writes a layer; UserError, which names it, if ONNX cannot say what it does."""
    handler = HANDLERS.get(step.layer.type)
    if handler is None:
        refuse(step, f"has no counterpart among those that are exported ({', '.join(sorted(HANDLERS))}); leave it out "
               "of the deploy network, or say it with these")  # fmt: skip
    handler(step, out)


def refuse(step: Step, why: str) -> NoReturn:
    raise UserError(f"{label(step.layer)} {why}")


def axis_of(value: Value, axis: int) -> int:
    """``axis`` counted from the front; Caffe has checked that it is one."""
    return axis + len(value.shape) if axis < 0 else axis
