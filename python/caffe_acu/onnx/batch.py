"""Whether a network takes any number of images at a time."""

from caffe_acu.active_layer import label
from caffe_acu.onnx.dataflow import Dataflow
from caffe_acu.onnx.handlers import MIXES_IMAGES


def why_fixed(flow: Dataflow) -> str:
    """What stands against an open batch, empty if nothing does.

    Of a network for which this is empty the first axis of every value is the batch, whatever its size.
    """
    sizes = {value.shape[:1] for value in flow.inputs}
    if len(sizes) > 1 or () in sizes:
        return f"the inputs {', '.join(value.blob for value in flow.inputs)} do not begin with the same axis"
    for step in flow.steps:
        if MIXES_IMAGES.get(step.layer.type, lambda _: False)(step):
            return f"{label(step.layer)} works on the first axis"
    return ""
