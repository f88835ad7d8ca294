"""From a Datum to its pixels, as Caffe reads it."""

import cv2
import numpy as np

from caffe_acu.caffe_proto import caffe_pb2

AS_STORED, COLOUR, GREY = cv2.IMREAD_UNCHANGED, cv2.IMREAD_COLOR, cv2.IMREAD_GRAYSCALE


def decode(datum: "caffe_pb2.Datum", colour: int = AS_STORED) -> np.ndarray:
    """The image of a Datum, (C, H, W): uint8 if it is encoded (JPEG, PNG) or raw, else float32.

    Planes are B, G, R where it is encoded. ``colour`` is how an encoded one is read: AS_STORED, COLOUR or GREY.
    Raises ValueError, with the reason, if there is no such image.
    """
    if datum.encoded:
        image = cv2.imdecode(np.frombuffer(datum.data, np.uint8), colour) if datum.data else None
        if image is None:
            raise ValueError("its encoded image cannot be decoded")
        if image.dtype != np.uint8:
            raise ValueError(f"its encoded image has values of {image.dtype}, not of 8 bits")
        return np.atleast_3d(image).transpose(2, 0, 1)
    shape = (datum.channels, datum.height, datum.width)
    values = np.frombuffer(datum.data, np.uint8) if datum.data else np.array(datum.float_data, np.float32)
    if values.size == 0 or values.size != np.prod(shape):
        raise ValueError(f"it holds {values.size} values for an image of {'x'.join(map(str, shape))}")
    return values.reshape(shape)
