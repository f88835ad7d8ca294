"""Networks as messages: read from and written to files, blobs as arrays, layers renamed. No libcaffe."""

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from google.protobuf import text_format
from google.protobuf.message import DecodeError, Message

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError

_ONE_LINE = 100  # a nested message that fits into this many characters is written on one line


def read_net(path: str | Path) -> "caffe_pb2.NetParameter":
    """Reads a prototxt or a caffemodel, whichever the content is; UserError if it is neither."""
    raw = read_bytes(path)
    net = caffe_pb2.NetParameter()
    text = _as_text(raw)
    if text is not None:
        try:
            text_format.Parse(text, net)
        except text_format.ParseError as error:
            raise UserError(_not_a_net(path, text, error)) from error
    else:
        if raw.startswith(b"\x89HDF"):
            raise UserError(f"{path}: an HDF5 snapshot; train with snapshot_format: BINARYPROTO")
        try:
            net.ParseFromString(raw)
        except DecodeError as error:
            what = "not a caffemodel, or a damaged one (its message does not decode)"
            if Path(path).suffix == ".solverstate":
                what = "a solverstate; the weights are in the caffemodel beside it"
            raise UserError(f"{path}: {what}") from error
    if net.layers:
        tool = "upgrade_net_proto_binary" if text is None else "upgrade_net_proto_text"
        raise UserError(f"{path}: layers in the format of before 2014; first run build/bin/{tool} OLD NEW")
    if not net.layer:
        raise UserError(f"{path}: no layers in it; a network's prototxt or caffemodel was expected")
    return net


def read_prototxt(path: str | Path) -> "caffe_pb2.NetParameter":
    """As :func:`read_net`, for a file that must be text."""
    raw = read_bytes(path)
    if _as_text(raw) is None:
        what = "a binary file" if _has_controls(raw.decode("latin-1")) else "not in UTF-8"
        raise UserError(f"{path}: {what}; a network's prototxt was expected")
    return read_net(path)


def read_solver(path: str | Path) -> "caffe_pb2.SolverParameter":
    """Reads a solver's prototxt; UserError if it cannot be read or is none."""
    try:
        return text_format.Parse(read_bytes(path).decode(), caffe_pb2.SolverParameter())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: no solver: {' '.join(str(error).split())}") from error


def _not_a_net(path: str | Path, text: str, error: text_format.ParseError) -> str:
    """What is wrong with a text that is no NetParameter."""
    solver = _as_solver(text)
    if solver is not None:
        return f"{path}: a solver; its network is {solver.net or solver.train_net or 'in another file'}"
    # Protobuf repeats place and line in front of the reason.
    reason = " ".join(str(error).split()).rpartition("': ")[2].removeprefix(f"{error.GetLine()}:{error.GetColumn()} : ")
    reason = reason.rstrip(".")
    cure = ""
    if '"caffe.LayerParameter" has no field' in reason:
        cure = " (a layer of another Caffe? Without this field it can be counted and drawn, but not run)"
    return f"{path}, line {error.GetLine()}, column {error.GetColumn()}: {reason}{cure}"


def _as_solver(text: str) -> "caffe_pb2.SolverParameter | None":
    try:
        return text_format.Parse(text, caffe_pb2.SolverParameter())
    except text_format.ParseError:
        return None


def read_bytes(path: str | Path) -> bytes:
    """A file's content; UserError if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


def _as_text(raw: bytes) -> str | None:
    # The key of NetParameter.layer is the bytes a2 06, which no UTF-8 text contains after ASCII, and the
    # key of a layer's type is a control character: a network with layers is never mistaken.
    try:
        text = raw.decode("utf-8-sig")  # a byte order mark, which some editors write, is no field
    except UnicodeDecodeError:
        return None
    return None if _has_controls(text) else text


def _has_controls(text: str) -> bool:
    return any(ord(c) < 32 and c not in "\t\n\r\f" for c in text)


def in_test_phase(layer: "caffe_pb2.LayerParameter", state: "caffe_pb2.NetState") -> bool:
    """Whether the layer is part of the network when it is tested; see :func:`in_phase`."""
    return in_phase(layer, state, caffe_pb2.TEST)


def in_phase(layer: "caffe_pb2.LayerParameter", state: "caffe_pb2.NetState", phase: int) -> bool:
    """Whether the layer is part of the network in the phase, as Caffe's Net::FilterNet decides.

    ``phase``: caffe_pb2.TRAIN or TEST; that of ``state`` is not looked at.
    """
    # Any rule of include lets a layer in; without include, any of exclude keeps it out.
    if layer.include:
        return any(_meets(rule, state, phase) for rule in layer.include)
    return not any(_meets(rule, state, phase) for rule in layer.exclude)


def _meets(rule: "caffe_pb2.NetStateRule", state: "caffe_pb2.NetState", phase: int) -> bool:
    return (
        (not rule.HasField("phase") or rule.phase == phase)
        and (not rule.HasField("min_level") or state.level >= rule.min_level)
        and (not rule.HasField("max_level") or state.level <= rule.max_level)
        and set(rule.stage) <= set(state.stage)
        and not set(rule.not_stage) & set(state.stage)
    )


def input_shapes(net: "caffe_pb2.NetParameter") -> list["caffe_pb2.BlobShape"]:
    """Shapes of ``net.input``, in both spellings from before there were Input layers; Caffe allows one for all."""
    fours = (net.input_dim[first : first + 4] for first in range(0, len(net.input_dim), 4))
    return [*net.input_shape, *(caffe_pb2.BlobShape(dim=dims) for dims in fours)]


def stage_cure(net: "caffe_pb2.NetParameter", phase: int) -> str:
    """What a message about a missing bottom ends with, if layers are left out for want of a stage."""
    rules = [rule for layer in net.layer for rule in layer.include if not rule.HasField("phase") or rule.phase == phase]
    stages = dict.fromkeys(stage for rule in rules for stage in rule.stage if stage not in net.state.stage)
    return f"; layers of a stage are left out: give --stage {' or '.join(stages)}" if stages else ""


def format_prototxt(message: Message, comment: str = "") -> str:
    """Text form in which short nested messages stand on one line; ``comment``: lines for the top, without #."""
    header = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    blocks: list[list[str]] = [[]]  # the open messages, innermost last
    for line in text_format.MessageToString(message).splitlines():
        if line.endswith("{"):
            blocks.append([line])
        elif line.strip() == "}":
            block = [*blocks.pop(), line]
            joined = " ".join([block[0], *(part.strip() for part in block[1:])])
            nested = len(blocks) > 1  # a layer itself keeps a line for each field
            blocks[-1].extend([joined] if nested and len(joined) <= _ONE_LINE else block)
        else:
            blocks[-1].append(line)
    return header + "\n".join(blocks[0]) + "\n"


def write_atomically(path: str | Path, content: str | bytes) -> None:
    """Writes a file that appears whole or not at all; makes its folder; UserError if that fails."""
    write_together({Path(path): content})


def refuse_overwriting(read: Iterable[Path], written: Iterable[Path]) -> None:
    """UserError if a file would be written over that is read, or is an output already. Links are followed."""
    sources = {os.path.realpath(path) for path in read}
    outputs = set()
    for path in written:
        real = os.path.realpath(path)
        if real in sources:
            raise UserError(f"{path}: is read and would be written over; give the output another name")
        if real in outputs:
            raise UserError(f"{path}: two outputs would be one file; give them two names")
        outputs.add(real)


def write_together(contents: Mapping[Path, str | bytes]) -> None:
    """Writes files of which none appears before all are whole; makes their folders; UserError if that fails.

    Of a link, the file that it points to is written. What is there and no plain file, such as a device, stays.
    """
    partials: dict[Path, Path] = {}
    try:
        for named, content in contents.items():
            with _naming(named):
                # All is seen now, before another file has been replaced.
                if named.is_dir():
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                if named.exists() and not named.is_file():
                    raise UserError(f"{named}: a device or a pipe; give the name of a file")
                path = Path(os.path.realpath(named))
                path.parent.mkdir(parents=True, exist_ok=True)
                partials[path] = path.with_name(f".{path.name}.{os.getpid()}.partial")
                partials[path].write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        for path, partial in partials.items():
            with _naming(path):
                os.replace(partial, path)
    finally:
        for path, partial in partials.items():
            with _naming(path):
                partial.unlink(missing_ok=True)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error


def blob_array(blob: "caffe_pb2.BlobProto") -> np.ndarray:
    """The values of a blob in its shape; float64 where it holds doubles, else float32."""
    shape, _ = _shape_of(blob)
    if blob.double_data:
        values = np.array(blob.double_data, dtype=np.float64)
    else:
        values = np.array(blob.data, dtype=np.float32)
    if values.size != np.prod(shape, dtype=np.int64):
        raise UserError(f"a blob of shape {shape} holds {values.size} values; the file is damaged")
    return values.reshape(shape)


def _shape_of(blob: "caffe_pb2.BlobProto") -> tuple[tuple[int, ...], bool]:
    """Its shape, and whether that is told in the old form. Of a scalar Caffe writes neither."""
    if any(blob.HasField(axis) for axis in ("num", "channels", "height", "width")):
        return (blob.num, blob.channels, blob.height, blob.width), True
    return tuple(blob.shape.dim), False


def blob_shapes(layer: "caffe_pb2.LayerParameter") -> list[tuple[tuple[int, ...], bool]]:
    """The shapes of a layer's stored blobs, and whether each is in the old form, which always has four axes."""
    return [_shape_of(blob) for blob in layer.blobs]


def set_blob(blob: "caffe_pb2.BlobProto", values: np.ndarray) -> None:
    """Gives the blob these values and their shape; float64 arrays are stored as doubles."""
    blob.Clear()
    blob.shape.dim.extend(values.shape)
    name, stored = ("double_data", "<f8") if values.dtype == np.float64 else ("data", "<f4")
    # Protobuf would take them number by number, as Python's: ten times the time, and eight times the memory.
    blob.MergeFromString(_packed(blob.DESCRIPTOR.fields_by_name[name].number, values.astype(stored).tobytes()))


def _packed(field: int, raw: bytes) -> bytes:
    """A packed repeated field, numbered below 16, as protobuf encodes it: its key, the length, the values."""
    length, digits = len(raw), bytearray()
    while length > 127:  # seven bits in each byte, and whether others follow
        digits.append(length & 127 | 128)
        length >>= 7
    return bytes([field << 3 | 2, *digits, length]) + raw


def rename(net: "caffe_pb2.NetParameter", layers: Mapping[str, str], blobs: Mapping[str, str] | None = None) -> None:
    """Renames layers, and the blobs between them (default: those that are called as the layers), in place.

    All names change at once, so that a new name may be the old one of another layer. UserError for a layer
    that is not there and for two layers that would share a name; layers that differ by phase may.
    """
    missing = sorted(set(layers) - {layer.name for layer in net.layer})
    if missing:
        raise UserError(f"no layer is called {missing[0]!r}, so it cannot be renamed")
    targets: dict[str, str] = {}
    for old in dict.fromkeys(layer.name for layer in net.layer):
        new = layers.get(old, old)
        if new in targets:
            raise UserError(f"layers {targets[new]!r} and {old!r} would both be called {new!r}")
        targets[new] = old
    blobs = layers if blobs is None else blobs
    for layer in net.layer:
        layer.name = layers.get(layer.name, layer.name)
        for names in (layer.bottom, layer.top):
            names[:] = [blobs.get(name, name) for name in names]
