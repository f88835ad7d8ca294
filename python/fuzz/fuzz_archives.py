"""Tar archives that a fuzzer writes: a few bytes choose what a member is, so that most of them are archives."""

import bz2
import gzip
import io
import lzma
import tarfile

_NAMES = (
    *(f"cifar-10-batches-py/data_batch_{i}" for i in range(1, 6)),
    "cifar-10-batches-py/test_batch", "cifar-10-batches-py/batches.meta", "cifar-10-batches-bin/data_batch_1.bin",
    "cifar-10-batches-bin/test_batch.bin", "cifar-10-batches-bin/batches.meta.txt", "cifar-100-python/train",
    "cifar-100-python/test", "cifar-100-python/meta", "train/a/1.png", "test/a/1.jpg", "train/b/2.jpg", "test/b/2.png",
    "n01440764.tar", "n01440764/n01440764_1.JPEG", "x/y/z.tar", "val/ILSVRC2012_val_00000001.JPEG", "meta.mat",
    "ILSVRC2012_validation_ground_truth.txt", "../outside.jpg", "/tmp/outside.jpg", "a/../../outside.png",
    "./train/c/3.jpg", ".hidden/1.jpg", "", "/", "..", "train/d/" + 300 * "long" + ".png", "t/\udcff\n.jpg",
)  # fmt: skip
_TYPES = (
    tarfile.REGTYPE, tarfile.REGTYPE, tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE,
    tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE,
)  # fmt: skip
_FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
_COMPRESSIONS = (bytes, bytes, gzip.compress, bz2.compress, lzma.compress)
_DEEPEST = 3  # archives in archives


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._rest = io.BytesIO(data)

    def one(self) -> int:
        return int.from_bytes(self._rest.read(1))

    def choice(self, among):
        return among[self.one() % len(among)]

    def some(self) -> bytes:
        return self._rest.read(256 * self.one() + self.one())


def archive_of(data: bytes) -> bytes:
    """What ``data`` describes; or, where it begins with a zero, what follows that as it stands."""
    return data[1:] if data.startswith(b"\0") else _written(_Bytes(data), 1)


def _written(data: _Bytes, depth: int) -> bytes:
    packed = io.BytesIO()
    compress = data.choice(_COMPRESSIONS) if depth == 1 else bytes
    with tarfile.open(fileobj=packed, mode="w", format=data.choice(_FORMATS)) as tar:
        for _ in range(data.one() % 8):
            member = tarfile.TarInfo(data.choice(_NAMES))
            member.type = data.choice(_TYPES)
            member.linkname = data.choice(_NAMES)
            nested = member.name.endswith(".tar") and depth < _DEEPEST
            content = _written(data, depth + 1) if nested else data.some()
            member.size = len(content)
            try:
                tar.addfile(member, io.BytesIO(content))
            except ValueError:  # a name that this format has no room for
                continue
            lie = data.one()
            if lie > 250 and packed.tell() >= 512:  # the header says another size than what follows
                end = packed.tell()
                packed.seek(max(0, end - 512 - -(-len(content) // 512) * 512) + 124)
                packed.write(b"%011o" % (lie << 25))
                packed.seek(end)
    whole = packed.getvalue()
    kept = data.one()
    return compress(whole if kept < 240 else whole[: len(whole) * (kept - 240) // 16])
