"""What the program ``caffe`` says to mistakes: one clear line each, with file or layer, and the cure."""

import os
import resource
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
    """The one line that glog marks as an error when the net is loaded."""
    path = tmp_path / "net.prototxt"
    path.write_text(net)
    result = subprocess.run(
        [caffe_program(), "time", "--model", path, "--iterations", "1"], capture_output=True, text=True
    )
    assert result.returncode == 1
    (complaint,) = (line for line in result.stderr.splitlines() if line[:1] in "EF" and "] " in line)
    assert "***" not in result.stderr  # no stack trace
    return complaint


@pytest.mark.parametrize(
    ("convolution", "acu", "expected"),
    [
        (
            "kernel_size: 3",
            "warmup: 3",
            'net.prototxt:4:66: Message type "caffe.ACUParameter" has no field named "warmup". '
            'Did you mean "warmup_iter"?',
        ),
        (
            "kernel_size: 3",
            "num_synapses: -9",
            "net.prototxt:3: ACU layer 'conv1': acu_param.num_synapses is -9; K must be positive",
        ),
        (
            "",
            "num_synapses: 3 position { x: 1 } position { y: 1 }",
            "net.prototxt:3: ACU layer 'conv1': acu_param.num_synapses is 3, but acu_param.position lists 2",
        ),
        (
            "kernel_size: 3",
            "fixed_synapse: 9",
            "net.prototxt:3: ACU layer 'conv1': acu_param.fixed_synapse is 9; the synapses are 0 to 8, and -1 fixes "
            "none",
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
    assert "net.prototxt:1:31: " in complaint
    assert 'Did you mean "acu_param"?' in complaint


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("name: 'a'\n\t\tlayers_: 3\n", 2, 3, 'no field named "layers_". Did you mean "layer'),
        ("layer { pooling_param {\n  pool: MAX\tkernl_size : 3 } }", 2, 13, 'Did you mean "kernel_size"?'),
        ("layer { transform_param { } transform_param { } }", 1, 29, '"transform_param" is specified multiple times'),
        ("layer { pooling_param { pool: MAXX } }", 1, 31, 'There are AVE, MAX, STOCHASTIC. Did you mean "MAX"?'),
        ("layer { zzzzzzzzzzzz: 3 }", 1, 9, 'has no field named "zzzzzzzzzzzz". ['),
        ("layer {\n" + "x" * 200_000 + ": 3 }", 2, 1, "has no field named"),
        ("\n\nlayer { name: 'a' type: 'ACU' bias: {", 3, 31, "bias"),
    ],
    ids=["tabs", "nested", "twice", "value", "nothing near", "a long name", "end"],
)
def test_the_place_of_a_mistake(tmp_path, text, line, column, words):
    complaint = first_complaint(tmp_path, text)
    assert f"net.prototxt:{line}:{column}: " in complaint
    assert words in complaint


def train(tmp_path, solver: str, *options: str) -> str:
    net = INPUT.format(convolution="kernel_size: 3", acu="")
    (tmp_path / "net.prototxt").write_text(net)
    path = tmp_path / "solver.prototxt"
    path.write_text(f'net: "{tmp_path}/net.prototxt" base_lr: 1 lr_policy: "fixed" max_iter: 1 {solver}')
    result = subprocess.run([caffe_program(), "train", "--solver", path, *options], capture_output=True, text=True)
    assert result.returncode == 1
    (complaint,) = (line for line in result.stderr.splitlines() if line[:1] in "EF" and "] " in line)
    return complaint


# In a build for the CPU, or on a machine without a GPU.
@pytest.mark.parametrize(
    ("solver", "options"),
    [("", ["--gpu", "0"]), ("", ["--gpu", "all"]), ("solver_mode: GPU", []), ("", ["--gpu", "100"])],
)
def test_a_gpu_that_is_not_there(tmp_path, solver, options):
    complaint = train(tmp_path, solver, *options)
    assert "built for the CPU only. Leave out --gpu" in complaint or "there is no GPU" in complaint


def test_a_gpu_that_is_no_number(tmp_path):
    assert '--gpu: "one" is no number of a GPU' in train(tmp_path, "", "--gpu", "0,one")


def test_out_of_memory(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2000000000 } } }\n'
        'layer { name: "relu" type: "ReLU" bottom: "data" top: "y" }'
    )
    program = [caffe_program(), "time", "--model", path, "--iterations", "1"]
    result = subprocess.run(
        program,
        capture_output=True,
        text=True,
        env={**os.environ, "CAFFE_ACU_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)),
    )
    assert result.returncode == 1
    assert "ReLU layer 'relu': out of memory: 7.5 GiB asked for at once, " in result.stderr


def test_a_stack_trace_on_request(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(INPUT.format(convolution="kernel_size: 3", acu="fixed_synapse: 9"))
    result = subprocess.run(
        [caffe_program(), "time", "--model", path],
        capture_output=True,
        text=True,
        env={**os.environ, "CAFFE_ACU_STACK_TRACE": "1"},
    )
    assert result.returncode == 1
    assert "libcaffe" in result.stderr.partition("fixed_synapse is 9")[2]
