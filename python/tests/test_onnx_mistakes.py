"""What cannot be exported to ONNX ends in one line, and nothing is written."""

import sys

import numpy as np
import pytest

from active_pair import layer
from caffe_acu.net_param import read_net, set_blob
from caffe_acu.onnx import model
from caffe_acu.onnx.handlers import registry
from onnx_nets import Exported
from test_onnx_layers import image, of_data


def refused(capsys, exported: Exported) -> str:
    """The one line that is printed."""
    assert exported.code == 2
    assert not list(exported.file.parent.glob("*onnx*"))
    (line,) = capsys.readouterr().err.splitlines()
    return line


def wide(tmp_path, *options: str) -> Exported:
    """An ACU with a synapse far away."""
    exported = Exported(tmp_path, of_data("ACU", "convolution_param { num_output: 2 kernel_size: 3 pad: 1 }"))
    exported.file.unlink()
    weights = read_net(exported.weights)
    (acu,) = (layer for layer in weights.layer if layer.blobs)
    set_blob(acu.blobs[2], np.full((1, 1, 3, 3), 40.5, np.float32))
    exported.weights.write_bytes(weights.SerializeToString())
    exported.export(*options)
    return exported


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (of_data("MVN"), ["'it' (MVN)", "has no counterpart", "Convolution, Deconvolution, Dropout", "leave it out"]),
        (of_data("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 }"), ["'it' (Pooling)", "STOCHASTIC"]),
        (
            image(6, 6, 6) + layer("it", "Pooling", "data", "pooling_param { pool: AVE kernel_size: 2 stride: 3 }"),
            ["'it' (Pooling)", "beyond the image", "stride"],
        ),
        (
            image() + 'layer { name: "it" type: "Pooling" bottom: "data" top: "a" top: "where" '
            "pooling_param { kernel_size: 2 } }",
            ["'it' (Pooling)", "'where'", "leave out that top"],
        ),
        (of_data("BatchNorm", "batch_norm_param { use_global_stats: false }"), ["'it' (BatchNorm)", "the batch's own"]),
        (
            of_data("Convolution", "convolution_param { num_output: 2 kernel_size: 2 axis: 2 }"),
            ["'it' (Convolution)", "axis 2", "reshape"],
        ),
        (of_data("Log"), ["'it'", "NaN", "random inputs"]),
        (image(), ["no outputs"]),
    ],
)
def test_a_network_that_is_refused(tmp_path, capsys, text, expected):
    line = refused(capsys, Exported(tmp_path, text))
    for word in ["net.prototxt", *expected]:
        assert word in line


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--opset", "12"], "it takes 13 to"),
        (["--opset", "99"], "it takes 13 to"),
        (["--opset", "18", "--deform-conv"], "with --deform-conv it takes 19 to"),
    ],
)
def test_opsets_that_do_not_exist(tmp_path, capsys, options, expected):
    assert expected in refused(capsys, Exported(tmp_path, of_data("ReLU"), *options))


def test_what_onnxruntime_does_not_load(tmp_path, capsys, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("[Fail] Opset 28 is under development\nand much more")

    monkeypatch.setattr("onnxruntime.InferenceSession", fails)
    line = refused(capsys, Exported(tmp_path, of_data("ReLU"), "--opset", "22"))
    assert "does not load the model: [Fail] Opset 28 is under development" in line


def test_synapses_far_away_are_for_deform_conv(tmp_path, capsys):
    line = refused(capsys, wide(tmp_path))
    assert "larger than 31 pixels: layer(s) it; give --deform-conv" in line
    exported = wide(tmp_path, "--deform-conv")
    assert exported.code == 0
    # 40 pixels to the right of a picture of 7 there is nothing.
    net = exported.model.graph
    assert [node.op_type for node in net.node].count("DeformConv") == 1


def test_a_result_that_differs_is_not_written(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(registry.HANDLERS, "ReLU", registry.HANDLERS["Dropout"])
    line = refused(capsys, Exported(tmp_path, of_data("ReLU")))
    assert "blob 'it' differs by" in line and "more than rounding explains" in line


def test_scores_that_a_softmax_hides(tmp_path, capsys, monkeypatch):
    """All probabilities are 0 or 1, and the same."""

    def other_scale(step, out):
        out.node("Mul", *step.bottoms, out.number("scale", 1e5), to=step.tops[0])

    monkeypatch.setitem(registry.HANDLERS, "Power", other_scale)

    text = of_data("Power", "power_param { scale: 1e6 }") + layer("prob", "Softmax", "it")
    assert "blob 'it' differs by" in refused(capsys, Exported(tmp_path, text))


def test_an_old_file_stays_when_nothing_new_is_written(tmp_path, capsys):
    (tmp_path / "net.onnx").write_bytes(b"old")
    assert Exported(tmp_path, of_data("MVN")).code == 2
    assert (tmp_path / "net.onnx").read_bytes() == b"old"


def test_a_model_larger_than_its_file_format(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(model, "_LARGEST", 50)
    line = refused(capsys, Exported(tmp_path, of_data("PReLU") + layer("s", "Scale", "it", "scale_param { axis: 2 }")))
    assert "more than an ONNX file holds (2 GiB)" in line


def test_weights_of_another_network(tmp_path, capsys):
    exported = Exported(tmp_path, of_data("PReLU"))
    exported.file.unlink()
    exported.net.write_text(of_data("PReLU", "prelu_param { channel_shared: true }"))
    exported.export()
    assert "are these the weights of this network?" in refused(capsys, exported)


def test_a_folder_in_place_of_the_file(tmp_path, capsys):
    (tmp_path / "net.onnx").mkdir()
    assert Exported(tmp_path, of_data("ReLU")).code == 2
    assert "net.onnx: cannot be written: Is a directory" in capsys.readouterr().err


def test_without_the_onnx_library(tmp_path, capsys, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("caffe_acu.onnx.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert "pip install 'caffe-acu[onnx]'" in refused(capsys, Exported(tmp_path, of_data("ReLU")))


def test_without_onnxruntime_it_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    exported = Exported(tmp_path, of_data("ReLU"))
    assert exported.code == 0
    assert "not checked: onnxruntime is not installed" in capsys.readouterr().out
    monkeypatch.undo()
    assert exported.differences()["it"] == 0
