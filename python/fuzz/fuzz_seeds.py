"""Small files of every kind that a target reads, from which the fuzzer starts."""

import io
import json
import pickle
import struct
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from google.protobuf import text_format
from PIL import Image

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.data.cifar_formats import CIFAR10_CLASSES
from caffe_acu.net_param import set_blob
from fuzz_targets import TARGETS, TRAINED

_PIXELS = np.arange(2 * 3072, dtype=np.uint32).astype(np.uint8).reshape(2, 3072)


def write_seeds(target: str, folder: Path) -> None:
    """Into ``folder``, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, seed in enumerate(_SEEDS[target]()):
        (folder / f"seed_{i}").write_bytes(seed)


def _tar(files: Mapping[str, bytes], links: Mapping[str, str] = MappingProxyType({})) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return stream.getvalue()


def _picture(kind: str, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(_PIXELS[0].reshape(32, 32, 3)).convert(options.pop("mode", "RGB")).save(stream, kind, **options)
    return stream.getvalue()


def _pictures() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds = [_picture(kind) for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP")]
    return [*kinds, _picture("JPEG", exif=exif), _picture("JPEG", mode="CMYK"), _picture("JPEG", mode="L"),
            _picture("JPEG", progressive=True), _picture("PNG", mode="P"), _picture("PNG", mode="I;16")]  # fmt: skip


def _pickles() -> list[bytes]:
    contents = {b"data": _PIXELS, b"labels": [1, 2], b"coarse_labels": [3, 4], b"fine_labels": [5, 6]}
    names = {b"label_names": [name.encode() for name in CIFAR10_CLASSES]}
    return [pickle.dumps(content, protocol) for content in (contents, names) for protocol in range(6)]


def _cifar_archives() -> list[bytes]:
    batch, names = _pickles()[2], _pickles()[8]
    files = {f"cifar-10-batches-py/{name}": batch for name in ("data_batch_1", "test_batch")}
    record = b"\3" + bytes(3072)
    binary = {f"b/{name}.bin": record for name in ("data_batch_1", "test_batch")}
    images = {f"{split}/{name}/1.png": _picture("PNG") for split in ("train", "test") for name in ("a", "b")}
    archives = [_tar({**files, "cifar-10-batches-py/batches.meta": names}), _tar(binary), _tar(images)]
    archives.append(_tar({"x/train": batch, "x/test": batch}))
    archives.append(_tar({"../x.png": b"x", "/x.png": b"x"}, {"train/a/1.png": "/etc/passwd"}))
    return [b"\0" + archive for archive in archives] + _descriptions()


def _descriptions() -> list[bytes]:
    """For fuzz_archives.archive_of."""
    return [bytes([compression, form, 7, *(7 * bytes([form, 0, 0, 0, 3, 1, 2, 3, 0])), 0])
            for compression in range(1, 6) for form in range(3)]  # fmt: skip


def _picture_archives() -> list[bytes]:
    jpeg, png = _picture("JPEG"), _picture("PNG")
    inner = _tar({"n01440764_1.JPEG": jpeg, "n01440764_2.JPEG": png})
    outer = _tar({"n01440764.tar": inner, "val/1.jpg": jpeg, "../2.jpg": jpeg, "/3.png": png})
    return [b"\0" + inner, b"\0" + outer, b"\0" + _tar({}, {"x.jpg": "/etc/passwd"}), *_descriptions()]


def _labels() -> list[bytes]:
    kit = _tar({"meta.mat": b"MATLAB 5.0", "ILSVRC2012_validation_ground_truth.txt": b"1\n2\n"})
    return [b"\0a.JPEG 0\nb.JPEG n01443537\n", b"\0001\n2\n", b"\1ImageId,PredictionString\na,n01440764 1 2 3 4\n",
            b"\2\0" + kit, b"\3n01440764 tench, Tinca tinca\n"]  # fmt: skip


def _networks() -> list[bytes]:
    layers = 'layer { name: "s" type: "Softmax" bottom: "bn" top: "s" } state { phase: TEST level: 1 stage: "x" }'
    old = 'input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8 layers { type: RELU bottom: "data" }'
    return [text.encode() for text in (TRAINED, TRAINED + layers, old, 'net: "x" base_lr: 0.1')]


def _caffemodels() -> list[bytes]:
    net = text_format.Parse(TRAINED, caffe_pb2.NetParameter())
    shapes = {
        "acu": [(2, 2, 3, 3), (2,), (1, 1, 3, 3), (1, 1, 3, 3)],
        "conv": [(3, 2, 2, 2), (3,)],
        "bn": [(3,), (3,), (1,)],
    }
    seeds = []
    for dtype in (np.float32, np.float64):
        for layer in net.layer:
            del layer.blobs[:]
            for shape in shapes.get(layer.name, ()):
                set_blob(layer.blobs.add(), np.full(shape, 0.5, dtype))
        seeds.append(net.SerializeToString())
    return [*seeds, *_networks()]


def _positions() -> list[bytes]:
    head = b"ACUPOSLG" + struct.pack("<II", 1, 1)
    head += b"".join(struct.pack("<I", len(text)) + text for text in (b"conv", b"ACU"))
    head += struct.pack("<IIIii", 1, 3, 3, -2, 0)
    logs = head
    for iteration in range(3):
        record = struct.pack("<q18f", iteration, *range(18))
        logs += record + struct.pack("<I", zlib.crc32(record))
    stream = io.BytesIO()
    of_layer = {"x_0": np.zeros((2, 1, 9)), "y_0": np.zeros((2, 1, 9)), "fixed_0": np.array([4])}
    np.savez(stream, iterations=np.arange(2), layers=np.array(["conv"]), types=np.array(["ACU"]),
             kernel_sizes=np.array([[3, 3]]), warmup_iters=np.array([0]), **of_layer)  # fmt: skip
    return [head, logs, stream.getvalue()]


def _shapes() -> list[bytes]:
    rows = [("conv", "ACU", 0, k, 0.5, -1.25) for k in range(2)]
    lines = "\n".join(",".join(map(str, row)) for row in rows)
    layer = {"layer": "conv", "type": "ACU", "x": [[0.5, 1]], "y": [[1, 2]]}
    return [
        b"\0# layer type set synapse x y\n" + lines.replace(",", "  ").encode(),
        b"\1layer,type,set,synapse,x_pixels,y_pixels\n" + lines.encode(),
        b"\2" + json.dumps({"unit": "pixels", "layers": [layer]}).encode(),
    ]


def _records() -> list[bytes]:
    run = {"model": "m", "seed": 1, "scale": 1, "max_iter": 10, "warmup_iter": None, "data": "d", "limit": None}
    manifest = {"written_by": "caffe-acu data", "source": "s", "splits": {}}
    row = {"row": "r", "dataset": "d", "metric": "m", "params": 1, "madds": 2, "paper_value": 3.0, "ours": None}
    table = {"rows": [row], "title": "t", "remark": "", "paper": "p", "table": "1"}
    test = {"crops": 1, "top": {"1": {"percent": 12.5}}}
    log = "I1 x] Solving \nI1 x] Iteration 10 (2 iter/s, 5s/10 iters), loss = 1.5\nI1 x] Iteration 10, lr = 0.1\n"
    metrics = "iteration,lr,train_loss,test_loss,test_error_percent\n10,0.1,1.5,,\n"
    return [*(json.dumps(content).encode() for content in (run, manifest, table, test)), log.encode(), metrics.encode()]


def _answers() -> list[bytes]:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd"
    part = b"HTTP/1.1 206 Partial Content\r\nContent-Length: 2\r\nContent-Range: bytes 5-6/7\r\n\r\nab"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
    return [b"\0" + whole, b"\1" + part, b"\1" + whole, b"\0" + chunked, b"\1HTTP/1.1 416 No\r\n\r\n",
            b"\0HTTP/1.1 302 Found\r\nLocation: /y\r\n\r\n"]  # fmt: skip


_SEEDS = {
    "cifar_pickle": _pickles,
    "cifar_archive": _cifar_archives,
    "picture_archive": _picture_archives,
    "picture": _pictures,
    "labels": _labels,
    "caffemodel": _caffemodels,
    "prototxt": _networks,
    "positions": _positions,
    "shapes": _shapes,
    "records": _records,
    "answer": _answers,
}
assert _SEEDS.keys() == TARGETS.keys()
