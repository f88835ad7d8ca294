"""Shapes as files for people: what is written is read to the bit, and every mistake in them is named."""

import difflib
import json

import numpy as np
import pytest

from caffe_acu.errors import UserError
from caffe_acu.surgery.shapes import Shape
from caffe_acu.surgery.shapes_file import FORMS, format_shapes, read_shapes

NAMES = ("conv1", "block 2/conv", 'say "#1"', "#3", "Größe\u2028\\n", "1")
TEXT = "# where\nconv1 ACU 0 0 -1.5 2  # note\n\nconv1 ACU 0 1 1e-3 -0\n"


def shape(layer: str, xy: np.ndarray, kind: str = "ACU") -> Shape:
    return Shape(layer, kind, *xy.astype(np.float64))


def singles(seed: int, size: tuple[int, ...]) -> np.ndarray:
    """Single-precision values of all magnitudes that positions may have, zeros of both signs and the smallest."""
    random = np.random.default_rng(seed)
    bits = random.integers(0, 2**32, 4 * int(np.prod(size)), dtype=np.uint32)
    values = bits.view(np.float32)
    values = values[np.abs(values) < 65536][: np.prod(size)]
    values[:4] = 0.0, -0.0, np.float32(1e-45), 65535.996
    return values.reshape(size)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_written_is_read_to_the_bit(tmp_path, form):
    wide = singles(0, (2, 1, 2**15))
    made = [shape(name, singles(i, (2, 3, 5)), "GroupedACU") for i, name in enumerate(NAMES)] + [shape("wide", wide)]
    doubles = Shape("doubles", "ACU", *np.random.default_rng(1).normal(size=(2, 1, 9)))
    path = tmp_path / f"shapes{form}"
    path.write_text(format_shapes([*made, doubles], form, "net.caffemodel"), encoding="utf-8")
    found = read_shapes(path)
    assert [(one.layer, one.type) for one in found] == [(one.layer, one.type) for one in [*made, doubles]]
    for before, after in zip(made, found, strict=False):
        for old, new in ((before.x, after.x), (before.y, after.y)):
            assert np.array_equal(old.astype(np.float32).view(np.uint32), new.astype(np.float32).view(np.uint32))
    assert np.array_equal(found[-1].x, doubles.x) and np.array_equal(found[-1].y, doubles.y)


@pytest.mark.parametrize("form", FORMS)
def test_one_synapse_that_moves_is_one_line(form):
    xy = np.arange(36.0).reshape(2, 2, 9) % 3
    moved = xy.copy()
    moved[0, 1, 4] = -1.2345678e-05  # longer than any other
    before, after = (format_shapes([shape("a", xy), shape("b", of_b)], form, "x").splitlines() for of_b in (xy, moved))
    changed = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
    assert [line[0] for line in changed] == ["-", "+"] and "-1.2345678e-05" in changed[1]


def test_text_tells_units_and_where_it_is_from_in_short_numbers():
    text = format_shapes([shape("conv1", np.array([[[0.1]], [[-1.0135]]], np.float32))], ".txt", "a.caffemodel")
    assert "pixels" in text and "of a.caffemodel, made by `caffe-acu positions export`" in text
    assert text.splitlines()[-1].split() == ["conv1", "ACU", "0", "0", "0.1", "-1.0135"]
    content = json.loads(format_shapes([], ".json", "a.caffemodel"))
    assert "pixels" in content["unit"] and content["of"] == "a.caffemodel"


def test_a_file_written_by_hand(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\ufeff" + TEXT.replace("\n", "\r\n") + '"b c" GroupedACU 1 0 3 4\n"b c" GroupedACU 0 0 1 2')
    first, second = read_shapes(path)
    assert (first.layer, first.type, first.x.tolist(), first.y.tolist()) == ("conv1", "ACU", [[-1.5, 1e-3]], [[2, 0]])
    assert (second.layer, second.x.tolist(), second.y.tolist()) == ("b c", [[1], [3]], [[2], [4]])


JSON = '{"layers": [{"layer": "a", "type": "ACU", "x": [[0, 1]], "y": [[0, 1]]}]}'
CSV = "layer,type,set,synapse,x_pixels,y_pixels\na,ACU,0,0,1,1\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", TEXT + "conv1 ACU 0 2 1\n", "a.txt, line 5: 5 word(s); 6 were expected: layer, type, set,"),
        ("a.txt", TEXT + "conv1 ACU 0 2 one 1\n", "a.txt, line 5: x is 'one'; a number of pixels was expected"),
        ("a.txt", TEXT.replace("2 ", "nan "), "a.txt, line 2: y is nan; a finite position of at most 65536 pixels"),
        ("a.txt", TEXT.replace("-1.5", "-1e6"), "a.txt, line 2: x is -1e6; a finite position"),
        ("a.txt", TEXT.replace("-1.5", "inf"), "a.txt, line 2: x is inf; a finite position"),
        ("a.txt", TEXT.replace("0 1 ", "0 -1 "), "a.txt, line 4: synapse is '-1'; they are counted from 0"),
        ("a.txt", TEXT.replace("0 1 ", "0.5 1 "), "a.txt, line 4: set is '0.5'; they are counted from 0"),
        ("a.txt", TEXT.replace("0 1 ", "0 0 "), "line 4: synapse 0 of set 0 of 'conv1' is in line 2 too"),
        ("a.txt", TEXT.replace("0 1 ", "0 2 "), "layer 'conv1': synapse 1 of set 0 is missing, of 1 set(s) of 3"),
        ("a.txt", TEXT.replace("0 1 ", "99999999999 1 "), "synapse 1 of set 0 is missing, of 100000000000 set(s)"),
        ("a.txt", TEXT.replace("ACU", "Conv"), "a.txt, line 2: type 'Conv'; ACU, GroupedACU, AConvFast have"),
        ("a.txt", TEXT.replace("ACU 0 1", "GroupedACU 0 1"), "line 4: layer 'conv1' is of type GroupedACU, but ACU in"),
        ("a.txt", TEXT.replace("conv1", '"\\q"'), 'line 2: "\\q" is not in the quotes of JSON'),
        ("a.txt", "", "a.txt: no positions in it"),
        ("a.txt", "# only\n", "a.txt: no positions in it"),
        ("a.txt", 'layer { name: "a" }\n', "a.txt, line 1: 5 word(s); 6 were expected"),
        ("a.txt", bytes(range(256)), "a.txt: a binary file; shapes as txt were expected"),
        ("a.csv", "", "a.csv: no positions in it"),
        ("a.csv", CSV.replace("pixels", "mm"), "a.csv, line 1: layer,type,set,synapse,x_pixels,y_pixels was expected"),
        ("a.csv", CSV + "a,ACU,0,1,1\n", "a.csv, line 3: 5 word(s); 6 were expected"),
        ("a.csv", CSV + 'a,ACU,0,1,1,"1', "a.csv, line 3: unexpected end of data"),
        ("a.csv", bytes(range(256)), "a.csv: a binary file; shapes as csv were expected"),
        ("a.json", "", "a.json: no JSON: Expecting value: line 1 column 1"),
        ("a.json", JSON[:-3], "a.json: no JSON: Expecting ',' delimiter: line 1 column"),
        ("a.json", "[" * 10**5, "a.json: no JSON: "),
        ("a.json", "[]", 'a.json: an object with a list of "layers" was expected'),
        ("a.json", '{"layers": []}', "a.json: no positions in it"),
        ("a.json", '{"layers": [1]}', 'a.json: layer 0, counted from 0: an object with "layer"'),
        ("a.json", JSON.replace("[[0, 1]]}", "[[0]]}"), "'a': x is of 1 set(s) of 2 synapses, y of 1 of 1"),
        ("a.json", JSON.replace('"x": [[0, 1]]', '"x": [[0], [0, 1]]'), '"x": a list for each position set, of as'),
        ("a.json", JSON.replace('"x": [[0, 1]]', '"x": []'), '"x": a list for each position set, of as'),
        ("a.json", JSON.replace("[0, 1]", "[0, NaN]"), "x of synapse 1 of set 0 is nan; a finite position"),
        ("a.json", JSON.replace("[0, 1]", "[0, null]"), "x of synapse 1 of set 0 is None; a number of pixels"),
        ("a.json", JSON.replace("[0, 1]", f"[0, 1{'0' * 400}]"), "x of synapse 1 of set 0 is 1000"),
        ("a.json", JSON.replace('"ACU"', '["ACU"]'), "type ['ACU']; ACU, GroupedACU, AConvFast have positions"),
        ("a.json", JSON.replace("[{", "[{}, {"), 'layer 0, counted from 0: an object with "layer"'),
        ("a.json", JSON.replace("}]", "}, " + JSON[12:-2] + "]"), "a.json: two layers are called 'a'"),
    ],
)
def test_every_mistake_is_one_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as error:
        read_shapes(path)
    assert message in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 700
