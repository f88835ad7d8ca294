"""The official batches were pickled by Python 2, whose text and module names differ from today's."""

import pickle
import struct

import numpy as np
import pytest

from caffe_acu.data.batch_pickle import unpickle

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 3072), np.uint8)
LABELS = [i % 10 for i in range(20)]


def text(contents: bytes) -> bytes:
    """Opcode of a Python 2 str: SHORT_BINSTRING, or BINSTRING where that is too short."""
    if len(contents) < 256:
        return b"U" + bytes([len(contents)]) + contents
    return b"T" + struct.pack("<i", len(contents)) + contents


def python2_batch(order: str) -> bytes:
    """A batch file as cPickle of Python 2 wrote it with protocol 2, opcode by opcode."""
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
        b"(K\x01K" + bytes([len(PIXELS)]) + b"M" + struct.pack("<H", 3072) + b"\x86"
        b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R"
        b"(K\x03" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + (b"\x88" if order == "F" else b"\x89") + text(PIXELS.tobytes(order=order)) + b"tb"
    )  # fmt: skip
    labels = b"](" + b"".join(b"K" + bytes([label]) for label in LABELS) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(b"labels") + labels + b"u."


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_batch_written_by_python_2(order):
    batch = unpickle(python2_batch(order))
    assert np.array_equal(batch[b"data"].array, PIXELS)
    assert batch[b"labels"] == LABELS


def test_names_of_classes_written_by_python_2():
    names = b"](" + text(b"apple") + text(b"aquarium_fish") + b"e"
    assert unpickle(b"\x80\x02}" + text(b"fine_label_names") + names + b"s.") == {
        b"fine_label_names": [b"apple", b"aquarium_fish"]
    }


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_batch_written_by_python_3(protocol):
    batch = unpickle(pickle.dumps({b"data": PIXELS, b"labels": LABELS}, protocol))
    assert np.array_equal(batch[b"data"].array, PIXELS)


@pytest.mark.parametrize("array", [PIXELS.astype(np.int16), np.array([{}], object)])
def test_arrays_of_anything_but_bytes_are_refused(array):
    with pytest.raises(pickle.UnpicklingError, match="an array of"):
        unpickle(pickle.dumps({b"data": array}, 2))
