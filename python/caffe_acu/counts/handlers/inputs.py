"""Layers that bring data in: the shapes of their tops, as far as a prototxt tells them."""

from collections.abc import Callable

from caffe_acu.active_layer import label
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.counts.handlers.registry import Shape, require_positive
from caffe_acu.errors import UserError
from caffe_acu.net_param import input_shapes

ImageShape = tuple[int, int, int]  # channels, height, width
# Of a layer and the images' shape, where the user gave it; None for a top whose shape nobody tells.
Input = Callable[["caffe_pb2.LayerParameter", ImageShape | None], list[Shape | None]]
INPUTS: dict[str, Input] = {}


def _brings(type_: str) -> Callable[[Input], Input]:
    def register(handler: Input) -> Input:
        INPUTS[type_] = handler
        return handler

    return register


def declared_inputs(net: "caffe_pb2.NetParameter") -> list["caffe_pb2.LayerParameter"]:
    """The Input layer that the network's own fields stand for, as Caffe makes it of them."""
    if not net.input:
        return []
    layer = caffe_pb2.LayerParameter(name="input", type="Input", top=net.input)
    layer.input_param.shape.extend(input_shapes(net))
    return [layer]


@_brings("Input")
def _input(layer, given: ImageShape | None) -> list[Shape | None]:
    if not layer.input_param.shape:
        return [(1, *_images(layer, (0, 0, 0), given)), *[None] * (len(layer.top) - 1)]
    return _each_or_one(layer, [tuple(shape.dim) for shape in layer.input_param.shape])


@_brings("DummyData")
def _dummy_data(layer, given: ImageShape | None) -> list[Shape | None]:
    param = layer.dummy_data_param
    if param.shape:
        return _each_or_one(layer, [tuple(shape.dim) for shape in param.shape])
    columns = [_each_or_one(layer, list(field)) for field in (param.num, param.channels, param.height, param.width)]
    return _each_or_one(layer, list(zip(*columns, strict=True)))


@_brings("Data")
def _data(layer, given: ImageShape | None) -> list[Shape | None]:
    param, means = layer.data_param, len(layer.transform_param.mean_value)
    crop = layer.transform_param.crop_size or param.crop_size
    # There is one mean for all channels, or one for each.
    return _labelled(param.batch_size, _images(layer, (means if means > 1 else 0, crop, crop), given))


@_brings("ImageData")
def _image_data(layer, given: ImageShape | None) -> list[Shape | None]:
    param = layer.image_data_param
    crop = layer.transform_param.crop_size or param.crop_size
    told = (3 if param.is_color else 1, crop or param.new_height, crop or param.new_width)
    return _labelled(param.batch_size, _images(layer, told, given))


@_brings("WindowData")
def _window_data(layer, given: ImageShape | None) -> list[Shape | None]:
    param = layer.window_data_param
    crop = layer.transform_param.crop_size or param.crop_size
    return _labelled(param.batch_size, _images(layer, (3, crop, crop), given))


@_brings("MemoryData")
def _memory_data(layer, given: ImageShape | None) -> list[Shape | None]:
    param = layer.memory_data_param
    return _labelled(param.batch_size, _images(layer, (param.channels, param.height, param.width), given))


@_brings("HDF5Data")
def _hdf5_data(layer, given: ImageShape | None) -> list[Shape | None]:
    batch = layer.hdf5_data_param.batch_size or 1
    return [(batch, *_images(layer, (0, 0, 0), given)), *[None] * (len(layer.top) - 1)]


def _images(layer, told: ImageShape, given: ImageShape | None) -> ImageShape:
    """What the prototxt tells, and for its zeros what the user gave."""
    channels, height, width = (here or there for here, there in zip(told, given or (0, 0, 0), strict=True))
    if not (channels and height and width):
        raise UserError(f"{label(layer)}: the prototxt does not tell the size of its images; give --input C H W")
    return channels, height, width


def _labelled(batch: int, images: ImageShape) -> list[Shape | None]:
    batch = batch or 1
    return [(batch, *images), (batch,)]


def _each_or_one(layer, values: list) -> list:
    """For every top its value, or the only one."""
    if len(values) == 1:
        values = values * len(layer.top)
    if len(values) != len(layer.top):
        raise UserError(f"{label(layer)}: {len(values)} shapes for {len(layer.top)} tops; give one, or one for each")
    for value in values:
        require_positive(layer, shape=min(value, default=1) if isinstance(value, tuple) else value)
    return values
