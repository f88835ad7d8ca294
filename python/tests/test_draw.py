"""The command ``draw``: files, their contents, and messages. Graphviz is needed for most of it."""

import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from caffe_acu.cli.main import main
from caffe_acu.drawing.network import draw_network
from caffe_acu.drawing.render import is_current
from caffe_acu.plots.colours import COLOURS
from draw_nets import CONV1, CONV3, block, data, layer, parse

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")

START = "name: 'small'\n" + data(1, 4, 8, 8)
REPEATED = (
    START
    + layer("ACU", "data", "conv0", CONV3)
    + block("stage1_block1", "conv0", type_="ACU")
    + block("stage1_block2", "stage1_block1_sum", type_="ACU")
    + block("stage1_block3", "stage1_block2_sum", type_="ACU")
    + layer("Convolution", "stage1_block3_sum", "last", CONV1)
)


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(REPEATED)
    return path


def groups(svg, kind: str) -> list[ElementTree.Element]:
    root = ElementTree.parse(svg).getroot()
    return [element for element in root.iter() if element.get("class", "").split() == kind.split()]


def texts(element: ElementTree.Element) -> list[str]:
    return [child.text or "" for child in element.iter() if child.tag.endswith("}text")]


@needs_dot
def test_acus_are_highlighted_and_counted(net, tmp_path):
    out = tmp_path / "net.svg"
    assert main(["draw", str(net), "-o", str(out)]) == 0
    found = groups(out, "node acu")
    assert len(found) == 2  # conv0, and a block that is there three times
    assert texts(found[1]) == ["3×3 ACU, 4", "1 set × 9 synapses", "4×8×8"]
    for group in found:
        (fill,) = [child.get("fill") for child in group if child.tag.endswith("}polygon")]
        assert fill == COLOURS[4].lower()
    assert not any(COLOURS[4].lower() in str(child.attrib) for g in groups(out, "node convolution") for child in g)
    everything = texts(ElementTree.parse(out).getroot())
    assert {"small", "\u00a0ACU, 4 layers", "× 3", "stage 1", "block 1 to 3"} <= set(everything)


@needs_dot
def test_a_full_drawing_has_a_box_for_every_layer(net, tmp_path):
    out = tmp_path / "net.svg"
    assert main(["draw", str(net), "-o", str(out), "--full"]) == 0
    assert len(groups(out, "node acu")) == 4
    assert not [text for text in texts(ElementTree.parse(out).getroot()) if text.startswith("× ")]


@needs_dot
def test_columns_are_joined_by_letters(net, tmp_path):
    out = tmp_path / "net.svg"
    assert main(["draw", str(net), "-o", str(out), "--columns", "2"]) == 0
    everything = texts(ElementTree.parse(out).getroot())
    assert everything.count("A") == 2 and "B" not in everything
    assert main(["draw", str(net), "-o", str(out), "--columns", "1"]) == 0
    assert "A" not in texts(ElementTree.parse(out).getroot())


@needs_dot
def test_an_svg_stands_alone_and_is_the_same_every_time(net, tmp_path, monkeypatch):
    first, second = tmp_path / "a" / "net.svg", tmp_path / "b.svg"
    assert main(["draw", str(net), "-o", str(first)]) == 0
    monkeypatch.chdir(tmp_path)
    assert main(["draw", "net.prototxt", "-o", "b.svg"]) == 0
    text = first.read_text(encoding="utf-8")
    assert text == second.read_text(encoding="utf-8")
    assert text.splitlines()[1] == "<!-- Made by `caffe-acu draw net.prototxt`. -->"
    assert str(tmp_path) not in text
    for reference in ("DOCTYPE", "href=", "url(", "<image", "@import"):
        assert reference not in text
    assert set(re.findall(r"https?://[^\"]*", text)) == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


@needs_dot
def test_a_drawing_knows_its_network(net, tmp_path):
    out = tmp_path / "net.svg"
    assert main(["draw", str(net), "-o", str(out)]) == 0
    assert is_current(out, draw_network(parse(REPEATED)).dot)
    assert not is_current(out, draw_network(parse(REPEATED.replace("last", "end"))).dot)
    assert not is_current(out, draw_network(parse(REPEATED), full=True).dot)
    out.write_text("<svg/>")
    assert not is_current(out, draw_network(parse(REPEATED)).dot)


@needs_dot
@pytest.mark.parametrize(("suffix", "begins"), [(".png", b"\x89PNG"), (".pdf", b"%PDF")])
def test_other_formats(net, tmp_path, suffix, begins):
    out = tmp_path / f"net{suffix}"
    assert main(["draw", str(net), "-o", str(out)]) == 0
    assert out.read_bytes().startswith(begins)


@needs_dot
def test_names_of_all_kinds():
    names = ['say "x"', "back\\\\slash\\\\", "<b>&amp;", "a->b:c", "graph", "twice", "twice", "ümläut", "x--y"]
    text, bottom = data(1, 4, 8, 8), "data"
    for i, name in enumerate(names):
        text += layer("Strange<&>", bottom, f"t{i}", name=name)
        bottom = f"t{i}"
    dot = draw_network(parse(f"name: 'a \"<net>\" -- of & names'\n{text}")).dot
    plain = subprocess.run(["dot", "-Tplain"], input=dot.encode(), capture_output=True, check=True)
    assert plain.stderr == b""
    lines = plain.stdout.decode().splitlines()
    assert sum(line.startswith("node ") for line in lines) == 1 + len(names)
    assert sum(line.startswith("edge ") for line in lines) == len(names)
    canon = subprocess.run(["dot", "-Tcanon"], input=dot.encode(), capture_output=True, check=True)
    assert "twice (2)" in canon.stdout.decode()


@needs_dot
def test_a_name_with_two_hyphens_is_no_end_of_the_comment(tmp_path):
    path, out = tmp_path / "my--net--.prototxt", tmp_path / "net.svg"
    path.write_text(START + layer("Convolution", "data", "a--b", CONV3))
    assert main(["draw", str(path), "-o", str(out)]) == 0
    ElementTree.parse(out)


@needs_dot
def test_without_sizes_it_says_why(tmp_path, capsys):
    path, out = tmp_path / "net.prototxt", tmp_path / "net.svg"
    path.write_text(
        "layer { name: 'd' type: 'Data' top: 'd' top: 'label' data_param { source: 'x' batch_size: 1 } }\n"
        + layer("Convolution", "d", "conv", CONV3)
    )
    assert main(["draw", str(path), "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{out}: drawn without sizes: ") and said.count("\n") == 1 and "--input C H W" in said
    assert main(["draw", str(path), "-o", str(out), "--input", "3", "9", "7"]) == 0
    assert capsys.readouterr().out == ""
    assert "4×9×7" in texts(groups(out, "node convolution")[0])


@needs_dot
def test_a_phase_may_be_chosen(tmp_path):
    path, out = tmp_path / "net.prototxt", tmp_path / "net.svg"
    drop = layer("Dropout", "conv", "conv", "include { phase: TRAIN }", name="drop")
    path.write_text(START + layer("Convolution", "data", "conv", CONV3) + drop)
    for phase, says in (("test", "4×8×8"), ("train", "dropout · 4×8×8")):
        assert main(["draw", str(path), "-o", str(out), "--phase", phase]) == 0
        assert texts(groups(out, "node convolution")[0])[1] == says


@needs_dot
def test_stages_may_be_chosen(tmp_path, capsys):
    path, out = tmp_path / "net.prototxt", tmp_path / "net.svg"
    images = "input_param {{ shape {{ dim: 1 dim: {} dim: 8 dim: 8 }} }} include {{ phase: TEST stage: '{}' }}"
    inputs = [layer("Input", "", "data", images.format(c, stage)) for c, stage in ((3, "small"), (5, "large"))]
    path.write_text("".join(inputs) + layer("Convolution", "data", "conv", CONV3))
    assert main(["draw", str(path), "-o", str(out)]) == 2
    assert capsys.readouterr().err.endswith("left out: give --stage small or large\n")
    assert main(["draw", str(path), "-o", str(out), "--stage", "large"]) == 0
    assert texts(groups(out, "node input")[0]) == ["data", "5×8×8"]


@needs_dot
def test_matplotlib_is_not_needed(net, tmp_path):
    code = "import sys; sys.modules['matplotlib'] = None; from caffe_acu.cli.main import main; sys.exit(main())"
    subprocess.run([sys.executable, "-c", code, "draw", str(net), "-o", str(tmp_path / "net.svg")], check=True)


@pytest.mark.parametrize(
    ("arguments", "content", "message"),
    [
        (["-o", "{tmp}/net.jpg"], REPEATED, "{tmp}/net.jpg: a drawing is written as .svg, .png or .pdf"),
        (["-o", "{tmp}/net.svg", "--columns", "0"], REPEATED, "--columns 0: must be between 1 and 26"),
        (["-o", "{tmp}/net.svg"], None, "{net}: cannot be read: No such file or directory"),
        (["-o", "{tmp}/net.svg"], "layer {", "{net}, line 1, column 7: Expected"),
        (["-o", "{tmp}/net.svg"], START + layer("ACU", "data", "a"), "{net}: layer 'a' (ACU): neither kernel_size"),
        (["-o", "{tmp}/net.svg"], START + layer("ReLU", "b", "a"), "{net}: layer 'a': no layer before it makes"),
    ],
)
def test_mistakes_are_one_line(tmp_path, capsys, arguments, content, message):
    net = tmp_path / "net.prototxt"
    if content is not None:
        net.write_text(content)
    assert main(["draw", str(net), *(argument.format(tmp=tmp_path) for argument in arguments)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("caffe-acu draw: " + message.format(tmp=tmp_path, net=net))
    assert error.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"net.prototxt"}


def test_without_graphviz_it_says_how_to_get_it(net, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["draw", str(net), "-o", str(tmp_path / "net.svg")]) == 2
    assert capsys.readouterr().err == ("caffe-acu draw: dot is not installed; get Graphviz: apt-get install graphviz\n")
    assert not (tmp_path / "net.svg").exists()


def test_a_graphviz_that_fails(net, tmp_path, capsys, monkeypatch):
    dot = tmp_path / "bin" / "dot"
    dot.parent.mkdir()
    dot.write_text("#!/bin/sh\necho 'Format: \"png\"\nnot recognized' >&2\nexit 3\n")
    dot.chmod(0o755)
    monkeypatch.setenv("PATH", str(dot.parent))
    assert main(["draw", str(net), "-o", str(tmp_path / "net.png")]) == 2
    assert capsys.readouterr().err == ('caffe-acu draw: dot failed with exit status 3: Format: "png" not recognized\n')
    assert not (tmp_path / "net.png").exists()


@needs_dot
def test_a_file_in_place_of_the_folder(net, tmp_path, capsys):
    out = tmp_path / "net.prototxt" / "net.svg"
    assert main(["draw", str(net), "-o", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"caffe-acu draw: {out}: cannot be written: ") and error.count("\n") == 1
