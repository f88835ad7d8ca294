"""An LMDB of JPEG images as large as one likes, for benchmarks/reading.py."""

import io
from pathlib import Path

import lmdb
import numpy as np
from PIL import Image

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.data.progress import progress

_SIDE = 256
_QUALITY = 75
_DISTINCT = 300
_RECORDS_OF_A_TRANSACTION = 2000


def write(folder: Path, records: int) -> None:
    """``records`` Datums of 256x256 JPEGs. There are 300 different pictures, but every record has bytes of its own."""
    jpegs = [_jpeg(np.random.default_rng(seed)) for seed in range(min(_DISTINCT, records))]
    largest = max(len(jpeg) for jpeg in jpegs)
    size = int(1.05 * records * (largest + 2 * 4096)) + (1 << 20)
    with (
        lmdb.open(str(folder), map_size=size, sync=False, lock=False) as environment,
        progress(f"writing {folder.name}", records) as bar,
    ):
        for begin in range(0, records, _RECORDS_OF_A_TRANSACTION):
            end = min(begin + _RECORDS_OF_A_TRANSACTION, records)
            with environment.begin(write=True) as transaction:
                for i in range(begin, end):
                    transaction.put(b"%08d" % i, _datum(jpegs[i % len(jpegs)], i), append=True)
            bar.update(end - begin)
        environment.sync(True)


def _datum(jpeg: bytes, number: int) -> bytes:
    # A comment behind the start of the image makes each record's bytes its own.
    comment = b"\xff\xfe\x00\x0a%08d" % number
    data = jpeg[:2] + comment + jpeg[2:]
    return caffe_pb2.Datum(
        channels=3, height=_SIDE, width=_SIDE, label=number % 1000, encoded=True, data=data
    ).SerializeToString()


def _jpeg(random: np.random.Generator) -> bytes:
    """Noise with the spectrum of photographs, amplitude 1/f, in channels that have most of it in common."""
    frequency = np.hypot(np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE)[None])
    frequency[0, 0] = np.inf

    def noise() -> np.ndarray:
        plane = np.fft.irfft2(np.fft.rfft2(random.standard_normal((_SIDE, _SIDE))) / frequency, s=(_SIDE, _SIDE))
        return plane / plane.std()

    common = noise()
    planes = np.stack([common + 0.2 * noise() for _ in range(3)], axis=-1)
    image = Image.fromarray(np.clip(128 + 40 * planes, 0, 255).astype(np.uint8))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()
