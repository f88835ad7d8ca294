"""``caffe-acu counts``: text, JSON and Markdown, of one network and of several."""

import json

import pytest

from caffe_acu.cli.main import main
from caffe_acu.counts.conventions import CONVENTIONS

INPUT = "layer { name: 'data' type: 'Input' top: 'data' input_param { shape { dim: 1 dim: 6 dim: 11 dim: 9 } } }"
CONVOLUTION = "convolution_param { num_output: 6 kernel_size: 3 pad: 1 } param { name: 'w' }"


def layer(name: str, type_: str, bottom: str, text: str = "") -> str:
    return f"layer {{ name: '{name}' type: '{type_}' bottom: '{bottom}' top: '{name}' {text} }}"


@pytest.fixture
def nets(tmp_path):
    """Convolution, ACU and a loss of one's own; and without the ACU and the loss."""
    conv, acu = layer("conv", "Convolution", "data", CONVOLUTION), layer("acu", "ACU", "conv", CONVOLUTION)
    whole, part = tmp_path / "whole.prototxt", tmp_path / "part.prototxt"
    whole.write_text("name: 'mine'" + INPUT + conv + acu + layer("focal", "FocalLoss", "acu"))
    part.write_text(INPUT + conv)
    return [str(whole), str(part)]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def run(capsys, *arguments: str) -> str:
    assert main(["counts", *arguments]) == 0
    return capsys.readouterr().out


def test_text(nets, capsys):
    out = run(capsys, nets[0], "--convention", "table9")
    assert out.splitlines() == [
        "mine: 354 parameters, 0.08M multiply-adds for one image",
        f"Convention table9 ({CONVENTIONS['table9'].description})",
        "NOT COUNTED, so the totals lack them: focal (FocalLoss)",
        "",
        "layer                          type         output  parameters  multiply-adds  note",
        "conv                           Convolution  6x11x9         330         32,076",
        "acu                            ACU          6x11x9          24         46,332  shared with conv",
        "total without 1 of its layers                              354         78,408",
        "",
        "type                           layers  parameters  multiply-adds",
        "Convolution                         1         330         32,076",
        "ACU                                 1          24         46,332",
        "total without 1 of its layers                 354         78,408",
    ]


def test_json(nets, capsys):
    data = json.loads(run(capsys, nets[0], "--json"))
    assert (data["name"], data["parameters"], data["multiply_adds"]) == ("mine", 352, 78_408)
    assert data["convention"]["name"] == "papers"
    assert data["convention"]["description"] == CONVENTIONS["papers"].description
    assert data["uncounted"] == [{"name": "focal", "type": "FocalLoss"}]
    assert [row["name"] for row in data["layers"]] == ["data", "conv", "acu"]
    assert data["layers"][2]["shared_with"] == ["conv"]
    for lines in (data["types"], data["layers"]):
        assert sum(line["parameters"] for line in lines) == data["parameters"]
        assert sum(line["multiply_adds"] for line in lines) == data["multiply_adds"]


def test_markdown(nets, capsys):
    by_layer, by_type, *notes = run(capsys, nets[0], "--markdown").strip().split("\n\n")
    assert cells(by_layer.splitlines()[0]) == ["layer", "type", "output", "parameters", "multiply-adds", "note"]
    assert cells(by_layer.splitlines()[1]) == ["---", "---", "---", "---:", "---:", "---"]
    assert cells(by_layer.splitlines()[3]) == ["acu", "ACU", "6x11x9", "22", "46,332", "shared with conv"]
    assert cells(by_type.splitlines()[-1]) == ["total without 1 of its layers", "", "352", "78,408"]
    assert notes[-1] == "NOT COUNTED, so the totals lack them: focal (FocalLoss)"


def test_no_empty_columns_and_no_warning_where_all_is_counted(nets, capsys):
    out = run(capsys, nets[1])
    assert "note" not in out
    assert "NOT COUNTED" not in out
    assert out.splitlines()[-1].split() == ["total", "330", "32,076"]


def test_several_networks_side_by_side(nets, capsys):
    short, blank, head, whole, part = run(capsys, *nets, "--convention", "plain").splitlines()
    assert short.startswith("Convention plain (")
    assert head.split() == "network parameters in short multiply-adds in short NOT COUNTED".split()
    assert whole.split() == [nets[0], "352", "352", "64,152", "0.06M", "focal", "(FocalLoss)"]
    assert part.split() == [nets[1], "330", "330", "32,076", "0.03M"]
    head, _, *lines = run(capsys, *nets, "--markdown").split("\n\n")[0].splitlines()
    assert cells(lines[1])[:2] == [nets[1], "330"]
    data = json.loads(run(capsys, *nets, "--json"))
    assert data["convention"]["name"] == "papers"
    assert [network["file"] for network in data["networks"]] == nets
    assert [network["parameters"] for network in data["networks"]] == [352, 330]
    assert [len(network["uncounted"]) for network in data["networks"]] == [1, 0]


def test_a_network_without_anything_to_count(tmp_path, capsys):
    (tmp_path / "net.prototxt").write_text(INPUT)
    out = run(capsys, str(tmp_path / "net.prototxt"))
    assert out.startswith("network: 0 parameters, 0 multiply-adds")
    assert out.splitlines()[-1].split() == ["total", "0", "0"]


def test_same_shape_and_input(tmp_path, capsys):
    path = tmp_path / "net.prototxt"
    path.write_text("input: 'data'" + layer("x", "Mystery", "data") + layer("conv", "Convolution", "x", CONVOLUTION))
    assert main(["counts", str(path)]) == 2
    assert "give --input C H W" in capsys.readouterr().err
    assert main(["counts", str(path), "--input", "6", "11", "9"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{path}: types that are not known to the counter: Mystery ('x'); " in error
    out = run(capsys, str(path), "--input", "6", "11", "9", "--same-shape", "Mystery")
    assert "NOT COUNTED, so the totals lack them: x (Mystery)" in out
    assert out.splitlines()[-1].endswith("32,076")


def test_conventions_are_explained(capsys):
    with pytest.raises(SystemExit):
        main(["counts", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    for convention in CONVENTIONS.values():
        assert f"{convention.name}: {' '.join(convention.description.split())}" in out
    with pytest.raises(SystemExit):
        main(["counts", "net.prototxt", "--convention", "other"])
    assert "invalid choice: 'other'" in capsys.readouterr().err


def test_stages_may_be_chosen(tmp_path, capsys):
    net = tmp_path / "net.prototxt"
    shapes = "input_param {{ shape {{ dim: 1 dim: {} dim: 5 dim: 5 }} }} include {{ phase: TEST stage: '{}' }}"
    inputs = [layer("data", "Input", "none", shapes.format(*of)) for of in ((3, "a"), (7, "b"))]
    text = "".join(inputs).replace("bottom: 'none'", "") + layer("conv", "Convolution", "data", CONVOLUTION)
    net.write_text(text)
    assert main(["counts", str(net)]) == 2
    assert capsys.readouterr().err.endswith("in the test phase; layers of a stage are left out: give --stage a or b\n")
    totals = [json.loads(run(capsys, str(net), "--stage", stage, "--json"))["parameters"] for stage in "ab"]
    assert totals == [6 * 3 * 9 + 6, 6 * 7 * 9 + 6]
