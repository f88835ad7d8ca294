"""What the program ``caffe`` says to mistakes: one clear line each, with file or layer, and the cure."""

import subprocess

import pytest

from caffe_acu.experiments.run import caffe_program

NET = """
layer {{ name: "data" type: "Data" top: "data" top: "label"
  data_param {{ source: "{source}" batch_size: 2 backend: LMDB }} }}
"""
INPUT = """
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: 1 dim: 3 dim: 8 dim: 8 }} }} }}
layer {{ name: "conv1" type: "ACU" bottom: "data" top: "conv1"
  convolution_param {{ num_output: 2 {convolution} }} acu_param {{ {acu} }} }}
"""


def first_complaint(tmp_path, net: str) -> str:
    """The first line that glog marks as error or fatal when the net is loaded."""
    path = tmp_path / "net.prototxt"
    path.write_text(net)
    result = subprocess.run(
        [caffe_program(), "time", "--model", path, "--iterations", "1"], capture_output=True, text=True
    )
    assert result.returncode != 0
    return next(line for line in result.stderr.splitlines() if line[:1] in "EF" and "] " in line)


@pytest.mark.parametrize(
    ("convolution", "acu", "expected"),
    [
        (
            "kernel_size: 3",
            "warmup: 3",
            'net.prototxt:4:72: Message type "caffe.ACUParameter" has no field named "warmup". '
            'Did you mean "warmup_iter"?',
        ),
        (
            "kernel_size: 3",
            "num_synapses: -9",
            "net.prototxt: ACU layer 'conv1': acu_param.num_synapses is -9; K must be positive",
        ),
        (
            "",
            "num_synapses: 3 position { x: 1 } position { y: 1 }",
            "net.prototxt: ACU layer 'conv1': acu_param.num_synapses is 3, but acu_param.position lists 2",
        ),
        (
            "kernel_size: 3",
            "fixed_synapse: 9",
            "net.prototxt: ACU layer 'conv1': acu_param.fixed_synapse is 9; the synapses are 0 to 8, and -1 fixes none",
        ),
    ],
)
def test_wrong_acu_layer(tmp_path, convolution, acu, expected):
    complaint = first_complaint(tmp_path, INPUT.format(convolution=convolution, acu=acu))
    assert expected in complaint
    assert "net.prototxt" in complaint


def test_missing_lmdb(tmp_path):
    complaint = first_complaint(tmp_path, NET.format(source="nowhere/train_lmdb"))
    assert "Layer 'data': there is no LMDB at data_param.source \"nowhere/train_lmdb\"" in complaint
    assert "caffe-acu data" in complaint


def test_wrong_field_of_a_layer(tmp_path):
    complaint = first_complaint(tmp_path, 'layer { name: "a" type: "ACU" acu_parm { } }')
    assert "net.prototxt:1:39: " in complaint or "net.prototxt:1:40: " in complaint
    assert 'Did you mean "acu_param"?' in complaint
