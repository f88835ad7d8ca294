"""Files that networks are read from and written to: every mistake in one line, and nothing lost."""

import os
from pathlib import Path

import numpy as np
import pytest

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.cli.main import main
from caffe_acu.errors import UserError
from caffe_acu.net_param import read_net, read_prototxt, set_blob, write_together

NET = """\
name: "n"
layer {
  name: "conv" type: "Convolution"
  convolution_param { num_output: 8 kernel_size: 3 }
}
"""


def mistake(path: Path, content: str | bytes) -> str:
    """The message, which must begin with the file's name and be one line."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as error:
        read_prototxt(path)
    text = str(error.value)
    assert text.startswith(str(path)) and "\n" not in text
    return text.removeprefix(str(path))


@pytest.mark.parametrize(
    "field, network",
    [('net: "a/b.prototxt"', "a/b.prototxt"), ('train_net: "t"', "t"), ("net_param { }", "in another file")],
)
def test_a_solver_is_called_one(tmp_path, field, network):
    text = f'base_lr: 0.1\n{field}\nsnapshot_prefix: "x"\n'
    assert mistake(tmp_path / "solver.prototxt", text) == f": a solver; its network is {network}"


@pytest.mark.parametrize(
    "wrong, right, expected",
    [
        (
            "num_outputs",
            "num_output",
            ', line 4, column 23: Message type "caffe.ConvolutionParameter" has no field named "num_outputs"',
        ),
        ("type: Convolution", 'type: "Convolution"', ", line 3, column 22: Expected string but found: 'Convolution'"),
        ("kernel_size: 3.5", "kernel_size: 3", ", line 4, column 50: Couldn't parse integer: 3.5"),
    ],
)
def test_a_typing_error_has_line_and_column(tmp_path, wrong, right, expected):
    assert mistake(tmp_path / "net.prototxt", NET.replace(right, wrong)) == expected


def test_fields_of_another_caffe_have_a_cure(tmp_path):
    path = tmp_path / "ssd.prototxt"
    foreign = "permute_param { order: 0 }"
    text = NET + f'layer {{ name: "p" type: "Permute" bottom: "conv" top: "p"\n  {foreign} }}\n'
    assert 'line 7, column 3: Message type "caffe.LayerParameter" has no field named "permute_param" (' in mistake(
        path, text
    )
    path.write_text(text.replace(foreign, ""))
    assert [layer.type for layer in read_prototxt(path).layer] == ["Convolution", "Permute"]


@pytest.mark.parametrize("written", [NET.replace("\n", "\r\n").encode(), b"\xef\xbb\xbf" + NET.encode()])
def test_files_of_other_systems_are_read(tmp_path, written):
    (tmp_path / "net.prototxt").write_bytes(written)
    (tmp_path / "plain.prototxt").write_text(NET)
    assert read_prototxt(tmp_path / "net.prototxt") == read_prototxt(tmp_path / "plain.prototxt")


def test_another_encoding_is_not_called_binary(tmp_path):
    message = mistake(tmp_path / "net.prototxt", "# für\n".encode("latin-1") + NET.encode())
    assert message == ": not in UTF-8; a network's prototxt was expected"


def test_old_layers_have_the_command_that_upgrades_them(tmp_path):
    text = mistake(tmp_path / "v1.prototxt", 'layers { name: "conv" type: CONVOLUTION }\n')
    assert text.endswith("first run build/bin/upgrade_net_proto_text OLD NEW")
    old = caffe_pb2.NetParameter(layers=[caffe_pb2.V1LayerParameter(name="conv")])
    (tmp_path / "v1.caffemodel").write_bytes(old.SerializeToString())
    with pytest.raises(UserError, match="first run build/bin/upgrade_net_proto_binary OLD NEW$"):
        read_net(tmp_path / "v1.caffemodel")


def test_what_is_no_file_is_not_replaced(tmp_path):
    pipe, other = tmp_path / "pipe", tmp_path / "other"
    os.mkfifo(pipe)
    with pytest.raises(UserError, match=f"^{pipe}: a device or a pipe"):
        write_together({other: "text", pipe: "text"})
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_link_stays_one(tmp_path):
    link, target = tmp_path / "link", tmp_path / "target"
    target.write_text("old")
    link.symlink_to(target.name)
    write_together({link: "new"})
    assert link.is_symlink() and target.read_text() == "new"
    assert sorted(tmp_path.iterdir()) == [link, target]


def test_a_link_to_itself_is_one_line(tmp_path, capsys):
    net, loop = tmp_path / "net.prototxt", tmp_path / "loop"
    net.write_text(NET)
    loop.symlink_to(loop.name)
    assert main(["new", str(loop), "-o", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == f"caffe-acu new: {loop}: cannot be read: Too many levels of symbolic links\n"
    assert sorted(tmp_path.iterdir()) == [loop, net]


@pytest.mark.parametrize("size", [0, 1, 15, 16, 31, 32, 2047, 2048, 4096, 70_000])  # lengths of one to three digits
@pytest.mark.parametrize("doubles", [False, True])
def test_blobs_are_what_protobuf_makes_of_each_number(size, doubles):
    values = np.random.default_rng(size).normal(size=(size, 3)).astype(np.float64 if doubles else np.float32)[:, 1]
    expected, blob = caffe_pb2.BlobProto(), caffe_pb2.BlobProto(data=[1], double_data=[2], num=3)
    expected.shape.dim.append(size)
    (expected.double_data if doubles else expected.data).extend(values.tolist())
    set_blob(blob, values)
    assert blob == expected and blob.SerializeToString() == expected.SerializeToString()
