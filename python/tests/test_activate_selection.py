"""Which convolutions become active, on graphs of every family of networks, written by hand."""

import pytest
from google.protobuf import text_format

from active_pair import conv, data, layer
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.convert.graph import input_axes, input_channels
from caffe_acu.convert.options import Choice
from caffe_acu.convert.selection import select
from caffe_acu.errors import UserError


def net_of(text: str) -> "caffe_pb2.NetParameter":
    return text_format.Parse(text, caffe_pb2.NetParameter())


def chosen(text: str, which: str = "all", **patterns: tuple[str, ...]) -> list[str]:
    return select(net_of(text), Choice(which, **patterns)).chosen


def k3(name: str, bottom: str, outputs: int = 8, group: int = 1, more: str = "") -> str:
    return conv(name, bottom, f"num_output: {outputs} kernel_size: 3 pad: 1 group: {group}", more)


def k1(name: str, bottom: str, outputs: int = 8) -> str:
    return conv(name, bottom, f"num_output: {outputs} kernel_size: 1")


def normalised(blob: str) -> str:
    """In place, as most prototxts have it."""
    return "".join(layer(f"{blob}/{type_}", type_, blob, top=blob) for type_ in ("BatchNorm", "Scale", "ReLU"))


def summed(name: str, bottoms: str, text: str = "") -> str:
    return layer(name, "Eltwise", bottoms, text)


# ---- Xception: the grouped paper activates the last depthwise convolution of 12 residual blocks ----


def separable(name: str, bottom: str, channels: int, outputs: int) -> str:
    return k3(f"{name}/dw", bottom, channels, channels) + k1(f"{name}/pw", f"{name}/dw", outputs)


def xception() -> str:
    text = data(3) + k3("conv1", "data", 32) + normalised("conv1") + k3("conv2", "conv1", 64) + normalised("conv2")
    blob, channels = "conv2", 64
    for block, outputs in enumerate((128, 256, 728), start=1):
        text += k1(f"b{block}/proj", blob, outputs)
        first = layer(f"b{block}/relu", "ReLU", blob) if block > 1 else ""  # the sum is read by the projection, too
        text += first + separable(f"b{block}/sep1", f"b{block}/relu" if first else blob, channels, outputs)
        text += normalised(f"b{block}/sep1/pw") + separable(f"b{block}/sep2", f"b{block}/sep1/pw", outputs, outputs)
        text += layer(f"b{block}/pool", "Pooling", f"b{block}/sep2/pw", "pooling_param { kernel_size: 3 stride: 2 }")
        text += summed(f"b{block}", f"b{block}/pool b{block}/proj")
        blob, channels = f"b{block}", outputs
    for block in range(4, 12):
        before = blob
        for i in (1, 2, 3):
            text += layer(f"b{block}/relu{i}", "ReLU", before)
            text += separable(f"b{block}/sep{i}", f"b{block}/relu{i}", 728, 728)
            before = f"b{block}/sep{i}/pw"
        text += summed(f"b{block}", f"{before} {blob}")
        blob = f"b{block}"
    text += k1("b12/proj", blob, 1024) + layer("b12/relu", "ReLU", blob)
    text += separable("b12/sep1", "b12/relu", 728, 728) + separable("b12/sep2", "b12/sep1/pw", 728, 1024)
    text += summed("b12", "b12/sep2/pw b12/proj")
    return text + separable("sep13", "b12", 1024, 1536) + separable("sep14", "sep13/pw", 1536, 2048)


def test_xception():
    last = ["b1/sep2/dw", "b2/sep2/dw", "b3/sep2/dw", *(f"b{i}/sep3/dw" for i in range(4, 12)), "b12/sep2/dw"]
    assert chosen(xception(), "last-of-block") == last
    # Section 4.6 of the reference: 34 depthwise convolutions; conv1 and conv2 are not among them.
    assert len(chosen(xception(), "depthwise")) == 3 * 2 + 8 * 3 + 2 + 2
    assert len(chosen(xception())) == 36


# ---- other families ----


def preactivation_resnet() -> str:
    text = data(3) + k3("conv0", "data")
    for block, (blob, projected) in enumerate((("conv0", True), ("sum0", False))):
        text += layer(f"bn{block}", "BatchNorm", blob) + layer(f"relu{block}", "ReLU", f"bn{block}", top=f"bn{block}")
        text += k3(f"a{block}", f"bn{block}") + normalised(f"a{block}") + k3(f"b{block}", f"a{block}")
        text += k1(f"proj{block}", f"bn{block}") if projected else ""
        text += summed(f"sum{block}", f"proj{block} b{block}" if projected else f"{blob} b{block}")
    return text + normalised("sum1") + k3("after", "sum1")


def resnet() -> str:
    """Bottlenecks, the sum followed by a ReLU in place, so that blob names repeat."""
    text, blob = data(3) + k3("conv0", "data") + normalised("conv0"), "conv0"
    for block in range(2):
        for name, bottom, made in (("in", blob, k1), ("mid", f"in{block}", k3), ("out", f"mid{block}", k1)):
            text += made(f"{name}{block}", bottom) + normalised(f"{name}{block}")
        text += summed(f"sum{block}", f"{blob} out{block}") + layer(
            f"r{block}", "ReLU", f"sum{block}", top=f"sum{block}"
        )
        blob = f"sum{block}"
    return text


def mobilenet_v2() -> str:
    text = data(3) + k3("stem", "data", 8)
    for block, blob in ((1, "stem"), (2, "out1"), (3, "sum2")):
        text += k1(f"in{block}", blob, 48) + normalised(f"in{block}")
        text += k3(f"dw{block}", f"in{block}", 48, 48) + normalised(f"dw{block}") + k1(f"out{block}", f"dw{block}")
        text += summed("sum2", "out1 out2") if block == 2 else ""
    return text


def inception() -> str:
    text = data(3) + k3("stem", "data") + k1("one", "stem")
    text += k1("three/in", "stem") + k3("three", "three/in") + layer("three/relu", "ReLU", "three", top="three")
    text += k1("five/in", "stem") + k3("five/first", "five/in") + k3("five", "five/first")
    text += layer("pool", "Pooling", "stem", "pooling_param { kernel_size: 3 stride: 1 pad: 1 }") + k1("pooled", "pool")
    text += layer("concat", "Concat", "one three five pooled")
    return text + k3("after", "concat") + layer("end", "Pooling", "after", "pooling_param { global_pooling: true }")


def factorised_inception() -> str:
    """Inception-v4's block C: the branch parts once more and ends in two convolutions."""
    text = data(3) + k3("stem", "data") + k3("in", "stem")
    for name, kernel in (("wide", "kernel_h: 1 kernel_w: 3"), ("high", "kernel_h: 3 kernel_w: 1")):
        text += conv(name, "in", f"num_output: 8 {kernel}")
    return text + k1("one", "stem") + layer("concat", "Concat", "one wide high")


def inception_resnet() -> str:
    """A Concat within a sum: the inner block has last layers of its own."""
    text = data(3) + k3("stem", "data") + k3("in", "stem") + k3("a0", "in") + k3("a", "a0") + k3("b", "in")
    return text + layer("cat", "Concat", "a b") + k1("up", "cat") + summed("sum", "stem up")


def gated(gate: str) -> str:
    """Squeeze and excitation: between the last convolution and the sum the path parts and meets again."""
    text = data(3) + k3("stem", "data") + k3("a", "stem") + k3("b", "a")
    text += layer("pool", "Pooling", "b", "pooling_param { global_pooling: true }") + k1("fc", "pool")
    return text + layer("s", "Sigmoid", "fc", top="fc") + gate + summed("sum", "stem gate")


def spatially_gated() -> str:
    """The gate has a convolution of its own, which is not the path's."""
    text = data(3) + k3("stem", "data") + k3("a", "stem") + k3("gate", "a") + layer("s", "Sigmoid", "gate")
    return text + summed("gated", "s a", "eltwise_param { operation: PROD }") + summed("sum", "gated stem")


def densenet() -> str:
    text, blob = data(3) + k3("stem", "data"), "stem"
    for i in range(2):
        text += layer(f"bn{i}", "BatchNorm", blob) + k1(f"in{i}", f"bn{i}") + k3(f"new{i}", f"in{i}")
        text += layer(f"cat{i}", "Concat", f"{blob} new{i}")
        blob = f"cat{i}"
    return text + k3("transition", blob)


def split_and_sliced() -> str:
    """The fork may be a layer of its own."""
    text = data(3) + k3("stem", "data") + 'layer { name: "split" type: "Split" bottom: "stem" top: "x" top: "y" }'
    text += k3("a", "x") + summed("sum", "a y")
    text += 'layer { name: "slice" type: "Slice" bottom: "sum" top: "l" top: "r" }' + k3("b", "l") + k3("c", "b")
    return text + layer("cat", "Concat", "c r")


def watched() -> str:
    """An auxiliary classifier reads from the middle of a path, which does not end there."""
    text = data(3) + k3("stem", "data") + k3("a", "stem") + k3("b", "a") + layer("r", "ReLU", "b", top="b")
    return text + k3("aux", "b") + layer("d", "Dropout", "b") + summed("sum", "stem d")


@pytest.mark.parametrize(
    ("text", "last"),
    [
        (preactivation_resnet(), ["b0", "b1"]),
        (resnet(), ["mid0", "mid1"]),
        (mobilenet_v2(), ["dw2"]),
        (inception(), ["three", "five"]),
        (factorised_inception(), ["wide", "high"]),
        (inception_resnet(), ["a", "b"]),
        (gated(layer("gate", "Scale", "b fc")), ["b"]),
        (gated(summed("gate", "b fc", "eltwise_param { operation: PROD }")), ["b"]),
        (spatially_gated(), ["a"]),
        (densenet(), ["new0", "new1"]),
        (split_and_sliced(), ["a", "c"]),
        (watched(), ["b"]),
        (data(3) + k3("stem", "data") + k3("proj", "stem") + k3("a", "stem") + summed("m", "proj a"), ["proj", "a"]),
        (data(3) + k3("a", "data") + summed("twice", "a a") + k3("b", "twice") + summed("m", "twice b"), ["b"]),
        (data(3) + layer("d", "Power", "data") + k3("a", "data") + k3("b", "d") + summed("m", "a b"), ["a", "b"]),
    ],
    ids="preactivation resnet mobilenet inception factorised inception_resnet scale_gate product_gate spatial_gate "
    "densenet slice watched projection twice towers".split(),
)
def test_last_of_block(text, last):
    assert chosen(text, "last-of-block") == last


def test_every_phase_has_its_blocks():
    text = data(3) + k3("stem", "data") + k3("a", "stem") + k3("b", "a")
    # Two layers make the blob x, each for a phase.
    text += k3("more", "b", more="include { phase: TRAIN }").replace('top: "more"', 'top: "x"')
    text += layer("relu", "ReLU", "b", "exclude { phase: TRAIN }", top="x")
    assert chosen(text + summed("sum", "stem x"), "last-of-block") == ["b", "more"]


def test_depthwise_by_channels_as_far_as_they_are_known():
    known = data(4) + k3("multiplied", "data", 8, 4) + k3("grouped", "multiplied", 4, 4) + k1("pw", "grouped", 6)
    known += layer("pool", "Pooling", "pw") + k3("again", "pool", 6, 6) + layer("cat", "Concat", "pw again")
    known += k3("wide", "cat", 12, 12) + k3("half", "wide", 12, 6)
    assert chosen(known, "depthwise") == ["multiplied", "again", "wide"]
    unknown = 'layer { name: "data" type: "Data" top: "data" }'
    assert chosen(unknown + k3("a", "data", 3, 3) + k3("b", "a", 9, 3), "depthwise") == ["a", "b"]
    one_channel = data(1) + k3("a", "data", 1) + k3("b", "a", 2) + k3("c", "b", 2, 2)
    assert chosen(one_channel, "depthwise") == ["c"]


@pytest.mark.parametrize(
    ("text", "channels"),
    [
        ("input: 'a' input_shape { dim: 1 dim: 5 dim: 8 dim: 8 }", 5),
        ("input: 'a' input_dim: 1 input_dim: 6 input_dim: 8 input_dim: 8", 6),
        ("input: 'b' input: 'a' " + "input_dim: 1 " * 5 + "input_dim: 7 input_dim: 8 input_dim: 8", 7),
        ("layer { name: 'a' type: 'Data' top: 'a' top: 'label' }", None),
        ("layer { name: 'a' type: 'Input' top: 'a' input_param { shape { dim: 2 dim: 9 } } }", 9),
        ("layer { name: 'a' type: 'Input' top: 'a' input_param { shape { dim: 2 } } }", None),
        (data(3) + layer("f", "InnerProduct", "data", "inner_product_param { num_output: 11 }", top="a"), 11),
        (data(3) + layer("u", "Deconvolution", "data", "convolution_param { num_output: 2 }", top="a"), 2),
        (data(3) + layer("r", "Reshape", "data", top="a"), None),
        (data(3) + layer("c", "Concat", "data data", "concat_param { axis: 2 }", top="a"), None),
        (data(3) + layer("c", "Concat", "data elsewhere", top="a"), None),
    ],
)
def test_channels_of_a_blob(text, channels):
    assert input_channels(net_of(f"{text} {k3('c', 'a')}"))[-1] == channels


LINE = data(3).replace("dim: 9 dim: 8", "dim: 9")
OLD_LINE = 'input: "data" input_shape { dim: 2 dim: 3 dim: 9 } '


@pytest.mark.parametrize(
    ("text", "axes"),
    [
        (data(3) + layer("r", "ReLU", "data", top="a"), 4),
        (LINE + layer("r", "ReLU", "data", top="a"), 3),
        (OLD_LINE + k3("c", "data") + normalised("c") + layer("e", "Eltwise", "c data", top="a"), 3),
        (LINE + layer("c", "Concat", "data data", top="a"), 3),
        (LINE + layer("f", "InnerProduct", "data", top="a"), None),
        (LINE + layer("f", "Reshape", "data", top="a"), None),
        ("layer { name: 'd' type: 'Data' top: 'a' }", None),
    ],
)
def test_axes_of_a_blob(text, axes):
    assert input_axes(net_of(f"{text} {k3('c', 'a')}"))[-1] == axes


def test_convolutions_of_a_line_stay():
    text = LINE + k3("line", "data") + layer("r", "ReLU", "line") + k3("after", "r")
    selection = select(
        net_of(
            text + data(3).replace('"data"', '"image"').removeprefix("force_backward: true ") + k3("square", "image")
        ),
        Choice(),
    )
    assert selection.chosen == ["square"]
    assert selection.left == dict.fromkeys(("line", "after"), "not two spatial axes")


# ---- names and what cannot be an ACU ----


def test_patterns_meet_whole_names():
    text = data(3) + k3("conv1", "data") + k3("conv10", "conv1") + k3("res/a", "conv10") + k3("res/b", "res/a")
    assert chosen(text, layers=("conv1",)) == ["conv1"]
    assert chosen(text, layers=("conv*", "*/b")) == ["conv1", "conv10", "res/b"]
    assert chosen(text, excluded=("conv?", "res/[!b]")) == ["conv10", "res/b"]
    assert chosen(text, layers=("res/*",), excluded=("*a",)) == ["res/b"]


def test_the_reason_why_a_layer_stays():
    text = data(3) + k3("a", "data") + k1("b", "a") + conv("c", "b", "num_output: 1 kernel_size: 3 axis: 2")
    text += conv("d", "c", "num_output: 1 kernel_size: 3 kernel_size: 3 kernel_size: 3") + k3("e", "d", 1)
    text += layer("u", "Deconvolution", "e", "convolution_param { num_output: 1 kernel_size: 3 }")
    named = select(net_of(text), Choice(layers=("[a-d]",)))
    assert named.chosen == ["a"]
    assert named.left == {
        "b": "kernel 1x1",
        "c": "axis 2, where an ACU has 1",
        "d": "not two spatial axes",
        "e": "not in --layers",
    }
    assert select(net_of(text), Choice(excluded=("e",))).left["e"] == "in --except"
    blocks = select(net_of(preactivation_resnet()), Choice("last-of-block"))
    assert blocks.left["conv0"] == "not last in a block"
    assert select(net_of(mobilenet_v2()), Choice("depthwise")).left["stem"] == "not depthwise"


@pytest.mark.parametrize(
    ("text", "choice", "message"),
    [
        (data(3) + layer("r", "ReLU", "data"), Choice(), "no layer of type Convolution in it"),
        (data(3) + k1("a", "data") + k1("b", "a"), Choice(), "nothing is chosen of 'a', 'b': kernel 1x1"),
        (data(3) + k3("a", "data"), Choice("depthwise"), "nothing is chosen of 'a': not depthwise"),
        (data(3) + k3("a", "data"), Choice("last-of-block"), "nothing is chosen of 'a': not last in a block"),
        (data(3) + k3("a", "data"), Choice(layers=("b*",)), "no convolution is called 'b*'; there are 'a'"),
        (data(3) + k3("a", "data"), Choice(excluded=("A",)), "no convolution is called 'A'; there are 'a'"),
        # One pattern that comes to nothing is a mistake, even where another does not.
        (data(3) + k3("a", "data") + k1("b", "a"), Choice(layers=("a", "b")), "nothing is chosen of 'b': kernel 1x1"),
        (data(3) + k3("a", "data"), Choice(excluded=("*",)), "nothing is chosen of 'a': in --except"),
        (
            data(3) + "".join(k1(f"c{i}", "data") for i in range(20)),
            Choice(),
            "nothing is chosen of 'c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7' and 12 more: kernel 1x1",
        ),
    ],
)
def test_a_choice_of_nothing_is_refused(text, choice, message):
    with pytest.raises(UserError) as error:
        select(net_of(text), choice)
    assert str(error.value) == message
