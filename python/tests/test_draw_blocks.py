"""Which blocks are drawn once, in which frames and columns."""

import pytest

from caffe_acu.drawing.arrangement import places, trunk
from caffe_acu.drawing.blocks import block_name, in_frames
from caffe_acu.drawing.columns import columns_of
from caffe_acu.drawing.words import Kind
from draw_nets import CONV1, CONV3, block, boxes, data, layer, seen

START = data(1, 4, 8, 8)
ACU = {"type_": "ACU"}
NET = (
    START
    + block("stage1_block1", "data", **ACU)
    + block("stage1_block2", "stage1_block1_sum", **ACU)
    + block("stage1_block3", "stage1_block2_sum", **ACU)
    + block("stage2_block1", "stage1_block3_sum", CONV1)
    + block("stage2_block2", "stage2_block1_sum", CONV1)
    + layer("Pooling", "stage2_block2_sum", "pool", "pooling_param { pool: AVE global_pooling: true }")
)


def frames(prototxt: str, full: bool = False) -> list[tuple[str, int]]:
    return [(frame.title, frame.times) for frame in in_frames(boxes(prototxt), full).frames]


def test_equal_blocks_are_drawn_once():
    found = in_frames(boxes(NET))
    assert seen(found.boxes) == [
        ("data", "", ()),
        ("BN ReLU", "", (0,)),
        ("3×3 ACU, 4", "", (1,)),
        ("+", "", (2, 0)),
        ("BN ReLU", "", (3,)),
        ("1×1 conv, 4", "", (4,)),
        ("+", "", (5, 3)),
        ("global average pool", "", (6,)),
    ]
    assert [(frame.title, frame.boxes, frame.times) for frame in found.frames] == [
        ("stage 1, block 1 to 3", (1, 2, 3), 3),
        ("stage 2, block 1 to 2", (4, 5, 6), 2),
    ]
    assert sum(times for times, box in zip(found.times(), found.boxes, strict=True) if box.kind == Kind.ACU) == 3


def test_all_blocks_on_demand():
    found = in_frames(boxes(NET), full=True)
    assert seen(found.boxes) == seen(boxes(NET))
    assert [frame.times for frame in found.frames] == [1] * 5
    assert found.frames[4].title == "stage 2, block 2"


def test_blocks_that_look_different():
    two = START + block("block1", "data") + block("block2", "block1_sum")
    assert frames(two) == [("block 1 to 2", 2)]
    assert frames(two.replace("pad: 1", "pad: 1 stride: 2", 1)) == [("block 1", 1), ("block 2", 1)]
    assert frames(two.replace("Eltwise", "Concat", 1)) == [("block 1", 1), ("block 2", 1)]


def test_blocks_of_different_sizes():
    text = START + block("block1", "data") + block("block2", "block1_sum")
    grown = boxes(text, block1_conv=(4, 8, 8), block2_conv=(4, 6, 6))
    assert [frame.times for frame in in_frames(grown).frames] == [1, 1]


def test_a_block_that_is_read_from_elsewhere_is_drawn():
    text = START + block("block1", "data") + block("block2", "block1_sum") + block("block3", "block2_sum")
    assert frames(text) == [("block 1 to 3", 3)]
    # No other block is read there.
    assert frames(text + layer("Eltwise", "block2_conv block3_sum", "late")) == [
        ("block 1", 1),
        ("block 2", 1),
        ("block 3", 1),
    ]
    # Where the next block reads too.
    assert frames(text + layer("Eltwise", "block1_sum block3_sum", "late")) == [("block 1", 1), ("block 2 to 3", 2)]


def test_blocks_side_by_side_are_no_repetition():
    text = START + block("block1", "data") + block("block2", "data") + layer("Concat", "block1_sum block2_sum", "both")
    assert frames(text) == [("block 1", 1), ("block 2", 1)]


def test_blocks_of_two_networks_are_no_repetition():
    alone = "".join(
        layer("Input", "", f"{name}_in", "input_param { shape { dim: 1 } }")
        + layer("ReLU", f"{name}_in", f"{name}_out")
        for name in ("block1", "block2")
    )
    assert frames(alone) == [("block 1", 1), ("block 2", 1)]


def test_blocks_that_skip_one_are_no_repetition():
    text = START + block("block1", "data") + block("block2", "block1_sum") + block("block3", "block1_sum")
    assert frames(text + layer("Concat", "block2_sum block3_sum", "both")) == [
        ("block 1", 1),
        ("block 2", 1),
        ("block 3", 1),
    ]


def test_blocks_that_read_another_place_of_the_one_before():
    def two_blobs(name: str, first: str, second: str) -> str:
        conv = layer("Convolution", first, f"{name}_conv", CONV3)
        return conv + layer("Eltwise", f"{name}_conv {second}", f"{name}_sum")

    text = START + two_blobs("block1", "data", "data") + two_blobs("block2", "block1_conv", "block1_sum")
    text += two_blobs("block3", "block2_conv", "block2_sum")
    straight, crossed = ("block3_conv", "block3_sum"), ("block3_sum", "block3_conv")
    end = layer("Concat", "block4_conv block4_sum", "end")
    assert frames(text + two_blobs("block4", *straight) + end) == [("block 1", 1), ("block 2 to 4", 3)]
    parted = [("block 1", 1), ("block 2 to 3", 2), ("block 4", 1)]
    assert frames(text + two_blobs("block4", *crossed) + end) == parted


@pytest.mark.parametrize(
    ("layer_name", "name"),
    [
        ("stage2_block3_conv2", "stage2_block3"),
        ("bn_stage2_block3_conv2", "stage2_block3"),
        ("stage2_block13_sum", "stage2_block13"),
        ("relu_middle_block1_sep1", "middle_block1"),
        ("block4", "block4"),
        ("inception_3a_1x1", "inception_3a"),
        ("inception_3a/5x5_reduce", "inception_3a"),
        ("scale_inception_4e_pool", "inception_4e"),
        ("conv0", None),
        ("res2a_branch2a", None),
        ("blocked_conv", None),
    ],
)
def test_block_names(layer_name, name):
    assert block_name(layer_name) == name


def test_a_stranger_has_no_frames():
    text = START + layer("Convolution", "data", "conv1", CONV3) + layer("Convolution", "conv1", "conv2", CONV3)
    found = in_frames(boxes(text))
    assert found.frames == []
    assert len(found.boxes) == 3


def test_cuts_leave_frames_whole_and_part_one_blob():
    found = in_frames(boxes(NET), full=True)
    column = columns_of(found, 3)
    assert column[0] == 0 and column[-1] == 2 and column == sorted(column)
    for frame in found.frames:
        assert len({column[i] for i in frame.boxes}) == 1
    for cut in (1, 2):
        crossing = {s for i, box in enumerate(found.boxes) if column[i] >= cut for s in box.sources if column[s] < cut}
        assert len(crossing) == 1


def test_no_cut_within_a_frame():
    text = START
    names = ["data", "block1_a", "block1_b", "block1_c", "block2_a"]
    for bottom, top in zip(names, names[1:], strict=False):
        text += layer("Convolution", bottom, top, CONV3)
    # The middle would be after block1_a or block1_b.
    assert columns_of(in_frames(boxes(text)), 2) in ([0, 1, 1, 1, 1], [0, 0, 0, 0, 1])


def test_what_cannot_be_cut_stays_whole():
    text = START + layer("Convolution", "data", "a", CONV3) + layer("Convolution", "a", "b", CONV3)
    found = in_frames(boxes(text + layer("Eltwise", "b a data", "sum")))
    # Below data all arrows begin there; below a, some begin at data and some at a.
    assert columns_of(found, 3) == [0, 1, 1, 1]
    assert columns_of(found) == [0, 0, 0, 0]


def test_more_columns_for_a_tall_network():
    text, bottom = START, "data"
    for i in range(60):
        text += layer("Convolution", bottom, f"conv{i}", CONV3)
        bottom = f"conv{i}"
    assert max(columns_of(in_frames(boxes(text)))) == 2


def test_branches_stand_as_they_are_joined():
    text = (
        START
        + layer("Convolution", "data", "short", CONV1)
        + layer("Convolution", "data", "long1", CONV1)
        + layer("Convolution", "long1", "long2", CONV3)
    )
    names = ("short", "long1")
    added, concatenated = (boxes(text + layer(join, "short long2", "end")) for join in ("Eltwise", "Concat"))
    assert [box.layers[0] for box in added[1:3]] == list(names)
    assert places(added)[1:3] == [1, 0]
    assert places(concatenated)[1:3] == [0, 1]
    assert trunk(added) == {(0, 2), (2, 3), (3, 4)}
