"""Reads LMDBs of Datums with protobuf, as Caffe does and unlike the project's writer."""

import lmdb
import numpy as np

from caffe_acu.caffe_proto import caffe_pb2


def read_lmdb(path) -> tuple[np.ndarray, np.ndarray]:
    """float32 (N, C, H, W) images and labels (N,) in the order of the keys, by Caffe's own message."""
    images, labels = [], []
    with lmdb.open(str(path), readonly=True, lock=False) as environment, environment.begin() as transaction:
        for _, value in transaction.cursor():
            datum = caffe_pb2.Datum.FromString(value)
            images.append(np.array(datum.float_data, np.float32).reshape(datum.channels, datum.height, datum.width))
            labels.append(datum.label)
    return np.stack(images), np.array(labels)


def read_blob(path) -> np.ndarray:
    """A BlobProto of four dimensions, e.g. a mean image, as float32."""
    blob = caffe_pb2.BlobProto.FromString(path.read_bytes())
    return np.array(blob.data, np.float32).reshape(blob.num, blob.channels, blob.height, blob.width)
