"""`caffe-acu positions export --net`: learned shapes as explicit positions of a prototxt, in Caffe."""

import re
from pathlib import Path

import caffe
import numpy as np
import pytest

import authors_net
from active_pair import conv, data
from caffe_acu.cli.main import main
from caffe_acu.net_param import read_net
from trained_nets import trained

GROUPED = "group: 2 num_output: 6"
CASES = {
    "lattice": "num_output: 3 kernel_size: 3 pad: 1",
    "more padding": "num_output: 3 kernel_size: 3 pad: 3 stride: 2 bias_term: false",
    "other axes": "num_output: 3 kernel_h: 1 kernel_w: 5 pad_h: 0 pad_w: 3 stride_h: 2 stride_w: 1",
    "dilated": "num_output: 3 kernel_size: 5 dilation: 2 dilation: 1 pad: 5 pad: 2",
}


def saved(folder: Path, layers: str, seed: int = 0, alike: bool = True) -> tuple[Path, Path]:
    """A network, and a caffemodel of it with synapses anywhere."""
    prototxt, caffemodel = folder / "net.prototxt", folder / "net.caffemodel"
    prototxt.write_text(data(4, 11, 8) + layers)
    net = caffe.Net(str(prototxt), caffe.TEST)
    random = np.random.default_rng(seed)
    for blobs in net.params.values():
        for blob in blobs[2:]:
            blob.data[...] = random.normal(0, 2, blob.data.shape)
            if alike:
                blob.data[...] = blob.data[:1]
    net.save(str(caffemodel))
    return prototxt, caffemodel


def outputs(*files: Path) -> dict[str, np.ndarray]:
    net = caffe.Net(str(files[0]), *map(str, files[1:]), caffe.TEST)
    for name in net.inputs:
        net.blobs[name].data[...] = np.random.default_rng(3).normal(size=net.blobs[name].data.shape)
    net.forward()
    return {name: blob.data.copy() for name, blob in net.blobs.items()}


def active(text: str, kind: str = "ACU", acu: str = "") -> str:
    return conv("c", "data", text, f"acu_param {{ {acu} }}").replace('"Convolution"', f'"{kind}"')


@pytest.mark.parametrize(
    "layers",
    [
        *(active(text) for text in CASES.values()),
        active(CASES["lattice"], acu="dilation: 1.5 position_noise: 0.3 num_synapses: 9 fixed_synapse: 2"),
        active("num_output: 3 pad: 2 stride: 2", acu="position { x: 1 } position { y: -2 } dilation: 2"),
        active(f"{GROUPED} kernel_size: 3 pad: 1", "GroupedACU"),
        active(f"{GROUPED} kernel_size: 3 pad: 1", "GroupedACU", "position_group: 4"),
    ],
    ids=[*CASES, "all fields", "listed", "two alike sets", "four alike sets"],
)
def test_outputs_stay_and_weights_fit(tmp_path, layers):
    net, weights = saved(tmp_path, layers)
    out, out_weights = tmp_path / "out.prototxt", tmp_path / "out.caffemodel"
    words = ["export", weights, "--net", net, "-o", out, "--out-weights", out_weights]
    assert main(["positions", *map(str, words)]) == 0
    before, after = outputs(net, weights), outputs(out, out_weights)
    assert before["c"].std() > 0.1
    assert all(np.array_equal(before[name], after[name]) for name in before)
    # What starts from the prototxt alone starts at these positions, to the bit.
    stored, fresh = caffe.Net(str(net), str(weights), caffe.TEST), caffe.Net(str(out), caffe.TEST)
    for i in (2, 3):
        blob = fresh.params["c"][i].data
        assert blob.shape == (stored.params["c"][i].shape[0], 1, 1, blob.shape[3])
        assert np.array_equal(blob.ravel(), stored.params["c"][i].data.ravel())


def test_a_whole_network_and_what_was_typed(tmp_path):
    net, weights = trained("cvpr2017/plain_acu_f5", tmp_path)
    out, out_weights = tmp_path / "out.prototxt", tmp_path / "out.caffemodel"
    words = ["export", weights, "--net", net, "-o", out, "--out-weights", out_weights, "--layers", "conv[23]*"]
    assert main(["positions", *map(str, words)]) == 0
    first, *_ = out.read_text().splitlines()
    assert first == (
        "# Made by `caffe-acu positions export net.caffemodel --net deploy.prototxt --layers 'conv[23]*'`."
    )
    listed = {layer.name: len(layer.acu_param.position) for layer in read_net(out).layer if layer.type == "ACU"}
    assert listed == {"conv1_1": 0, "conv1_2": 0, "conv2_1": 9, "conv2_2": 9, "conv3_1": 25, "conv3_2": 25}
    before, after = outputs(net, weights), outputs(out, out_weights)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_shapes_from_a_file_and_one_for_all_sets(tmp_path):
    net, weights = saved(tmp_path, active(f"{GROUPED} kernel_size: 3 pad: 1", "GroupedACU"))
    rows = (f"c ACU 0 {k} {k / 8} {-k}" for k in range(9))
    (tmp_path / "shapes.txt").write_text("\n".join(rows))
    assert (
        main(["positions", "export", f"{tmp_path}/shapes.txt", "--net", str(net), "-o", f"{tmp_path}/out.prototxt"])
        == 0
    )
    made = caffe.Net(f"{tmp_path}/out.prototxt", caffe.TEST).params["c"]
    for i, value in ((2, np.arange(9) / 8), (3, -np.arange(9))):
        assert np.array_equal(made[i].data.reshape(2, 9), [value, value])


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("num_output: 3 kernel_size: 2 pad: 1", "ACU", r"a kernel of \(2, 2\) with pad \(1, 1\) has no counterpart"),
        ("num_output: 3 kernel_size: 3 pad: 0", "ACU", r"a kernel of \(3, 3\) with pad \(0, 0\) has no counterpart"),
        ("num_output: 3 kernel_size: 5 pad: 2 pad: 1", "ACU", r"a kernel of \(5, 5\) with pad \(2, 1\) has no count"),
        ("num_output: 3 kernel_size: 3 pad: 1", "AConvFast", "cannot list positions; convert network and weights"),
        (f"{GROUPED} kernel_size: 3 pad: 1", "GroupedACU", "its 2 position sets differ, and a prototxt lists one"),
    ],
)
def test_what_has_no_counterpart_is_refused(tmp_path, capsys, text, kind, message):
    net, weights = saved(tmp_path, active(text, kind), alike=False)
    before = set(tmp_path.iterdir())
    words = [
        "export",
        weights,
        "--net",
        net,
        "-o",
        tmp_path / "out.prototxt",
        "--out-weights",
        tmp_path / "o.caffemodel",
    ]
    assert main(["positions", *map(str, words)]) == 2
    error = capsys.readouterr().err
    assert re.match(rf"caffe-acu positions: {weights}: layer 'c' \({kind}\): .*{message}.*\n$", error)
    assert set(tmp_path.iterdir()) == before


def test_mistakes_are_one_line(tmp_path, capsys):
    net, weights = saved(tmp_path, active(CASES["lattice"]))
    other, plain = tmp_path / "other.prototxt", tmp_path / "plain.prototxt"
    other.write_text(net.read_text().replace('name: "c"', 'name: "cc"'))
    plain.write_text(data() + conv("c", "data"))
    (tmp_path / "c.txt").write_text("c ACU 0 0 1 1")
    authors_net.write_caffemodel(tmp_path / "authors.caffemodel")
    out = tmp_path / "out.prototxt"
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for words, message in (
        (
            (weights, "--net", other, "-o", out),
            "net.caffemodel: no positions for the network's layer 'cc'; did you mean 'c'?",
        ),
        ((weights, "--net", plain, "-o", out), "plain.prototxt: no layer of type ACU"),
        (
            (weights, "--net", net, "-o", out, "--layers", "d"),
            "net.prototxt: no ACU layer is called 'd'; there are 'c'",
        ),
        ((weights, "--net", net, "-o", net), "net.prototxt: is read and would be written over"),
        ((weights, "--net", net, "-o", out, "--out-weights", weights), "net.caffemodel: is read and would be"),
        (
            (weights, "--net", net, "-o", out, "--out-weights", out),
            "out.prototxt: two outputs would be one",
        ),
        ((net, "--net", net, "-o", out, "--out-weights", tmp_path / "a"), "net.prototxt: --out-weights are made of"),
        (
            (tmp_path / "c.txt", "--net", net, "-o", out),
            "positions of 1 set(s) of 1 synapses; the network's are 1 of 9",
        ),
        ((weights, "--net", weights, "-o", out), "net.caffemodel: a binary file; a network's prototxt was expected"),
    ):
        assert main(["positions", "export", *map(str, words)]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1, error
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
