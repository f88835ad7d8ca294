"""Random layers of every type that can be counted, as a prototxt has them, and such that Caffe accepts them."""

import random
from collections.abc import Callable
from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Setting:
    """A layer without name, type, bottoms and tops."""

    bottoms: list[Shape]
    text: str = ""
    tops: int = 1


SETTINGS: dict[str, Callable[[random.Random], Setting]] = {}


def of(*types: str):
    def register(function):
        SETTINGS.update(dict.fromkeys(types, function))
        return function

    return register


def shape(r: random.Random, axes: int | None = None, least: int = 1) -> Shape:
    return tuple(r.randint(least, 7) for _ in range(axes or r.randint(1, 5)))


def image(r: random.Random, channels: int = 0) -> Shape:
    return (r.randint(1, 3), channels or r.randint(1, 6), r.randint(9, 17), r.randint(9, 17))


def flag(r: random.Random, name: str) -> str:
    return r.choice(["", f"{name}: true ", f"{name}: false "])


@of("AbsVal", "BNLL", "Clip", "Dropout", "ELU", "Exp", "Log", "Power", "ReLU", "Sigmoid", "Swish", "TanH", "Threshold")
def neuron(r):
    return Setting([shape(r)], "clip_param { min: -1 max: 1 }")


@of("LRN", "MVN")
def normalised(r):
    return Setting([image(r)], "lrn_param { norm_region: WITHIN_CHANNEL }" * r.randint(0, 1))


@of("Softmax")
def softmax(r):
    return Setting([shape(r, r.randint(2, 4))])


@of("BatchNorm")
def batch_norm(r):
    return Setting([shape(r, r.randint(2, 4))])


@of("Scale", "Bias")
def scale(r):
    bottom = shape(r)
    axis = r.randrange(len(bottom))
    axes = r.choice([-1, r.randint(0, len(bottom) - axis)])
    first = axis - len(bottom) * r.randint(0, 1)
    param = f"axis: {first} num_axes: {axes}"
    # Of two layers' parameters, that of the other type is not read.
    text = f"scale_param {{ {param} {flag(r, 'bias_term')} }} bias_param {{ {param} }}"
    second = [bottom[axis : axis + (len(bottom) if axes == -1 else axes)]] * r.randint(0, 1)
    return Setting([bottom, *second], text)


@of("PReLU")
def prelu(r):
    return Setting([shape(r, r.randint(2, 4))], f"prelu_param {{ {flag(r, 'channel_shared')} }}")


@of("Embed")
def embed(r):
    sizes = f"num_output: {r.randint(1, 9)} input_dim: {r.randint(1, 9)}"
    return Setting([shape(r, r.randint(1, 3))], f"embed_param {{ {sizes} {flag(r, 'bias_term')} }}")


@of("Parameter")
def parameter(r):
    return Setting([], f"parameter_param {{ {dims(shape(r))} }}")


def dims(values: Shape) -> str:
    return "shape { " + " ".join(f"dim: {n}" for n in values) + " }"


@of("Eltwise")
def eltwise(r):
    return Setting([shape(r)] * r.randint(2, 4), f"eltwise_param {{ operation: {r.choice(['SUM', 'PROD', 'MAX'])} }}")


@of("InnerProduct")
def inner_product(r):
    bottom = shape(r)
    axis = r.randrange(len(bottom)) - len(bottom) * r.randint(0, 1)
    param = f"num_output: {r.randint(1, 9)} axis: {axis} {flag(r, 'bias_term')} {flag(r, 'transpose')}"
    return Setting([bottom], f"inner_product_param {{ {param} }}")


def window(r, axes: int = 2) -> str:
    """Kernel, stride, pad and dilation, for all axes or each, in one of the spellings."""
    parts = []
    for name, least, most in (("kernel_size", 1, 4), ("stride", 1, 3), ("pad", 0, 2), ("dilation", 1, 2)):
        spelling = r.choice(["one", "each", "h_w", "none"])
        if spelling == "none" and name != "kernel_size":
            continue
        if spelling == "h_w" and axes == 2 and name != "dilation":
            parts += [f"{name.removesuffix('_size')}_{axis}: {r.randint(least, most)}" for axis in "hw"]
        else:
            parts += [f"{name}: {r.randint(least, most)}" for _ in range(axes if spelling == "each" else 1)]
    return " ".join(parts)


@of("Convolution", "Deconvolution")
def convolution(r):
    group, axis = r.choice([1, 1, 2, 3]), r.choice([1, 1, 1, 2])
    axes = r.randint(1, 3)
    size = tuple(r.randint(9, 12) for _ in range(axes))
    bottom = (*(r.randint(1, 3) for _ in range(axis)), group * r.randint(1, 3), *size)
    count = r.choice([1, 1, 2])
    param = f"num_output: {group * r.randint(1, 3)} group: {group} axis: {axis} {window(r, axes)}"
    return Setting([bottom] * count, f"convolution_param {{ {param} {flag(r, 'bias_term')} }}", tops=count)


@of("Im2col")
def im2col(r):
    axes = r.randint(1, 3)
    bottom = (r.randint(1, 3), r.randint(1, 3), *(r.randint(9, 12) for _ in range(axes)))
    return Setting([bottom], f"convolution_param {{ {window(r, axes)} }}")


def positions(r) -> str:
    listed = (f"position {{ x: {r.choice([0, 1, 0.5])} y: {r.choice([0, -1, 1.5])} }}" for _ in range(r.randint(1, 5)))
    return " ".join(listed)


def acu_param(r, more: str = "") -> tuple[str, str]:
    """Of convolution_param and acu_param."""
    scaled = "dilation: 1.5 " * r.randint(0, 1) + "learn_positions: false " * r.randint(0, 1)
    fixed = r.choice(["", "", "fixed_synapse: 0 ", "fixed_synapse: -1 "])
    listed = r.random() < 0.3
    spatial = f"stride: {r.randint(1, 2)} pad: {r.randint(0, 2)}" if listed else window(r)
    return spatial, f"acu_param {{ {positions(r) if listed else ''} {scaled} {fixed} {more} }}"


@of("ACU")
def acu(r):
    spatial, param = acu_param(r)
    channels = r.randint(1, 5)
    bottoms = [image(r, channels) for _ in range(r.choice([1, 1, 2]))]
    convolution = f"convolution_param {{ num_output: {r.randint(1, 5)} {spatial} {flag(r, 'bias_term')} }}"
    return Setting(bottoms, f"{convolution} {param}", tops=len(bottoms))


@of("GroupedACU")
def grouped_acu(r):
    group, sets = r.choice([(1, 1), (2, None), (2, 3), (6, 1), (6, 6), (3, 2)])
    spatial, param = acu_param(r, f"position_group: {sets}" if sets else "")
    outputs = f"num_output: {group * r.randint(1, 2)} group: {group} {spatial} {flag(r, 'bias_term')}"
    return Setting([image(r, 6)], f"convolution_param {{ {outputs} }} {param}")


@of("AConvFast")
def aconv_fast(r):
    sets, kind = r.choice([1, 2, 3]), r.choice(["SQUARE", "CIRCLE"])
    outputs = f"num_output: {sets * r.randint(1, 2)} kernel_size: {r.randint(1, 4)} stride: {r.randint(1, 2)}"
    convolution = f"convolution_param {{ {outputs} pad: {r.randint(0, 2)} {flag(r, 'bias_term')} }}"
    return Setting([image(r)], f"{convolution} aconv_param {{ type: {kind} position_group: {sets} pad: 1 }}")


def recurrent(states: int):
    def setting(r):
        steps, streams, hidden = r.randint(1, 4), r.randint(1, 4), r.randint(1, 5)
        exposed = r.random() < 0.3
        bottoms = [(steps, streams, *shape(r, r.randint(1, 3))), (steps, streams)]
        bottoms += [(streams, *shape(r, r.randint(1, 2)))] * r.randint(0, 1)
        bottoms += [(1, streams, hidden)] * (states * exposed)
        text = f"recurrent_param {{ num_output: {hidden} expose_hidden: {str(exposed).lower()} }}"
        return Setting(bottoms, text, tops=1 + states * exposed)

    return setting


SETTINGS["RNN"] = recurrent(states=1)
SETTINGS["LSTM"] = recurrent(states=2)


@of("LSTMUnit")
def lstm_unit(r):
    streams, hidden = r.randint(1, 4), r.randint(1, 4)
    return Setting([(1, streams, hidden), (1, streams, 4 * hidden), (1, streams)], tops=2)


@of("Pooling")
def pooling(r):
    if r.random() < 0.1:
        return Setting([image(r)], "pooling_param { global_pooling: true }")
    kernel, pad = r.randint(2, 4), r.randint(0, 1)
    parts = [r.choice([f"kernel_size: {kernel}", f"kernel_h: {kernel} kernel_w: {r.randint(2, 5)}"])]
    parts.append(r.choice(["", f"stride: {r.randint(1, 4)}", f"stride_h: {r.randint(1, 3)} stride_w: 2"]))
    parts.append(r.choice(["", f"pad: {pad}", f"pad_h: {pad} pad_w: {1 - pad}"]))
    parts.append(r.choice(["", "round_mode: FLOOR", "round_mode: CEIL"]))
    return Setting([image(r)], f"pooling_param {{ {' '.join(parts)} }}", tops=r.choice([1, 1, 2]))


@of("SPP")
def spp(r):
    return Setting([image(r)], f"spp_param {{ pyramid_height: {r.randint(1, 3)} }}")


@of("Split")
def split(r):
    return Setting([shape(r)], tops=r.randint(1, 4))


@of("Concat")
def concat(r):
    bottom = shape(r)
    axis = r.randrange(len(bottom))
    bottoms = [(*bottom[:axis], r.randint(1, 5), *bottom[axis + 1 :]) for _ in range(r.randint(1, 4))]
    spelling = r.choice([f"axis: {axis}", f"axis: {axis - len(bottom)}", f"concat_dim: {axis}"])
    return Setting(bottoms, f"concat_param {{ {spelling} }}")


@of("Slice")
def slice_(r):
    tops, axes = r.randint(1, 4), r.randint(1, 4)
    axis = r.randrange(axes)
    bottom = list(shape(r, axes))
    sizes = [r.randint(1, 4)] * tops if r.random() < 0.5 else [r.randint(1, 4) for _ in range(tops)]
    bottom[axis] = sum(sizes)
    edges = [sum(sizes[: i + 1]) for i in range(tops - 1)]
    points = "" if len(set(sizes)) == 1 else " ".join(f"slice_point: {edge}" for edge in edges)
    spelling = r.choice([f"axis: {axis}", f"axis: {axis - axes}", f"slice_dim: {axis}"])
    return Setting([tuple(bottom)], f"slice_param {{ {spelling} {points} }}", tops)


@of("Flatten")
def flatten(r):
    axes = r.randint(1, 5)
    first = r.randrange(axes)
    last = r.randrange(first, axes)
    param = f"axis: {first - axes * r.randint(0, 1)} end_axis: {last - axes * r.randint(0, 1)}"
    return Setting([shape(r, axes)], f"flatten_param {{ {param} }}")


@of("Reshape")
def reshape(r):
    a, b, c, d = shape(r, 4)
    wanted = r.choice(
        [
            f"shape {{ dim: 0 dim: -1 dim: {d} }}",
            f"shape {{ dim: {a * b} dim: {c * d} }}",
            "shape { dim: 0 dim: 0 dim: -1 dim: 1 dim: 1 }",
            "shape { dim: -1 } axis: 1 num_axes: 2",
            f"shape {{ dim: 1 dim: {c} }} axis: 2 num_axes: 1",
            "shape { dim: 0 dim: -1 } axis: -4",
            "shape { dim: 1 } axis: -1 num_axes: 0",
        ]
    )
    return Setting([(a, b, c, d)], f"reshape_param {{ {wanted} }}")


@of("Tile")
def tile(r):
    bottom = shape(r)
    axis = r.randrange(len(bottom)) - len(bottom) * r.randint(0, 1)
    return Setting([bottom], f"tile_param {{ axis: {axis} tiles: {r.randint(1, 4)} }}")


@of("Crop")
def crop(r):
    axes = r.randint(1, 4)
    axis = r.randrange(axes)
    like = shape(r, axes)
    bottom = tuple(n + r.randint(1, 4) if i >= axis else r.randint(1, 5) for i, n in enumerate(like))
    return Setting([bottom, like], f"crop_param {{ axis: {axis - axes * r.randint(0, 1)} offset: 1 }}")


@of("BatchReindex")
def batch_reindex(r):
    return Setting([shape(r), shape(r, 1)])


@of("Filter")
def filter_(r):
    batch, count = r.randint(1, 5), r.randint(1, 3)
    bottoms = [(batch, *shape(r, r.randint(1, 3))) for _ in range(count)]
    return Setting([*bottoms, (batch, *[1] * r.randint(0, 2))], tops=count)


@of("ArgMax")
def arg_max(r):
    bottom = shape(r, least=3)
    axis = r.choice(["", f"axis: {r.randrange(len(bottom)) - len(bottom) * r.randint(0, 1)}"])
    if not axis and len(bottom) == 1:
        bottom = (*bottom, 4)
    return Setting([bottom], f"argmax_param {{ top_k: {r.randint(1, 3)} {axis} {flag(r, 'out_max_val')} }}")


@of("Reduction")
def reduction(r):
    bottom = shape(r)
    axis = r.randrange(len(bottom)) - len(bottom) * r.randint(0, 1)
    return Setting([bottom], f"reduction_param {{ axis: {axis} operation: {r.choice(['SUM', 'MEAN'])} }}")


def labelled(r) -> list[Shape]:
    batch, classes = r.randint(1, 4), r.randint(2, 6)
    size = shape(r, 2) if r.random() < 0.5 else ()
    return [(batch, classes, *size), (batch, *size)]


@of("Accuracy")
def accuracy(r):
    return Setting(labelled(r), tops=r.randint(1, 2))


@of("SoftmaxWithLoss")
def softmax_with_loss(r):
    return Setting(labelled(r))  # with the second top, Caffe refuses any number of loss weights


@of("InfogainLoss")
def infogain(r):
    batch, classes, tops = r.randint(1, 4), r.randint(2, 6), r.randint(1, 2)
    return Setting([(batch, classes), (batch,), (1, 1, classes, classes)], "loss_weight: 0 " * tops, tops)


@of("HingeLoss", "MultinomialLogisticLoss")
def of_classes(r):
    batch = r.randint(1, 4)
    return Setting([(batch, r.randint(2, 6)), (batch,)])


@of("EuclideanLoss", "SigmoidCrossEntropyLoss")
def of_two(r):
    return Setting([shape(r)] * 2)


@of("ContrastiveLoss")
def contrastive(r):
    batch, features = r.randint(1, 4), r.randint(1, 4)
    return Setting([(batch, features)] * 2 + [(batch,)])


@of("Silence")
def silence(r):
    return Setting([shape(r) for _ in range(r.randint(1, 3))], tops=0)


@of("Input", "DummyData")
def made(r):
    tops = r.randint(1, 3)
    shapes = " ".join(dims(shape(r)) for _ in range(r.choice([1, tops])))
    return Setting([], f"input_param {{ {shapes} }} dummy_data_param {{ {shapes} }}", tops)


@of("MemoryData")
def memory_data(r):
    batch, channels, height, width = shape(r, 4)
    sizes = f"batch_size: {batch} channels: {channels} height: {height} width: {width}"
    return Setting([], f"memory_data_param {{ {sizes} }}", tops=2)
