"""Pruned and dilated kernels: against convolution by definition, and in Caffe."""

import numpy as np
import pytest
from google.protobuf import text_format

from caffe_acu.active_layer import read_active_layer
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.kernels import DenseKernel, extrapolate
from caffe_acu.start_shapes import lattice, ring
from caffe_acu.wide_kernels import cost, dilated, farthest, prune

# (outputs, channels per group, groups): one group, groups, depthwise, depthwise with two outputs for each channel.
GROUPINGS = [(3, 4, 1), (6, 2, 3), (4, 1, 4), (8, 1, 4)]
# extent, centre, pad of one axis: odd and even kernels, (3, 2) and (4, 3) with dilation, pads below and above centre.
AXES = [(1, 0, 0), (1, 0, 3), (2, 1, 0), (2, 1, 4), (3, 1, 0), (3, 1, 1), (3, 2, 1), (4, 3, 0), (7, 3, 1), (17, 8, 8)]


def layer_output(image, kernel, stride, extent, centre, pad):
    """What the layer computes that has the taps of ``kernel`` around its base points, pixel by pixel."""
    outputs, per_group, *_ = kernel.weight.shape
    size = [(image.shape[1 + i] + 2 * pad[i] - extent[i]) // stride[i] + 1 for i in (0, 1)]
    result = np.zeros((outputs, *size))
    for d, i, r, q in np.argwhere(kernel.weight):
        c = d // (outputs // kernel.groups) * per_group + i
        for out in np.ndindex(*size):
            row, column = (
                out[axis] * stride[axis] - pad[axis] + centre[axis] + kernel.origin[axis] + (r, q)[axis]
                for axis in (0, 1)
            )
            if 0 <= row < image.shape[1] and 0 <= column < image.shape[2]:
                result[d][out] += kernel.weight[d, i, r, q] * image[c, row, column]
    return result


def convolution_output(image, part, stride):
    """An ordinary convolution with dilation: each tap times a slice of the padded image."""
    outputs, per_group, *size = part.weight.shape
    padded = np.pad(image, ((0, 0), (part.pad[0],) * 2, (part.pad[1],) * 2))
    spans = [part.dilation[i] * (size[i] - 1) + 1 for i in (0, 1)]
    steps = [range(0, padded.shape[1 + i] - spans[i] + 1, stride[i]) for i in (0, 1)]
    channel = np.arange(outputs)[:, None] // (outputs // part.groups) * per_group + np.arange(per_group)
    result = np.zeros((outputs, *map(len, steps)))
    for r, q in np.ndindex(*size):
        rows, columns = (np.array(steps[i]) + (r, q)[i] * part.dilation[i] for i in (0, 1))
        seen = padded[channel][:, :, rows][:, :, :, columns]
        result += np.einsum("dc,dchw->dhw", part.weight[:, :, r, q], seen)
    return result


def sparse_kernel(rng, shape=(2, 2), groups=1, reach=6, taps=5):
    """Few taps, anywhere around the base point; not every pair of an output and a channel has all."""
    origin = rng.integers(-reach, reach, 2)
    size = rng.integers(1, reach, 2) + 1
    weight = rng.normal(size=(*shape, *size))
    kept = rng.choice(size[0] * size[1], min(taps, size[0] * size[1]), replace=False)
    mask = np.isin(np.arange(size[0] * size[1]), kept).reshape(size)
    return DenseKernel(weight * mask * (rng.random(weight.shape) < 0.8), tuple(int(first) for first in origin), groups)


def moved_lattice(rng, sets):
    """Case 1: 3x3 with dilation 8, each synapse moved by less than a pixel."""
    x, y = lattice((3, 3), (8, 8))
    return x + rng.uniform(-1, 1, (sets, 9)), y + rng.uniform(-1, 1, (sets, 9))


def kernel_of(x, y):
    """Depthwise, all weights 1."""
    x, y = np.atleast_2d(x), np.atleast_2d(y)
    return extrapolate(np.ones((len(x), 1, x.shape[1])), x, y, groups=len(x))


def assert_each_tap_is_in_one_part(kernel, parts, extent, pad, centre):
    found = {}
    for part in parts:
        assert part.groups == kernel.groups
        assert min(part.pad) >= 0
        for place in np.argwhere(part.weight.any(axis=(0, 1))):
            offset = tuple(place * part.dilation - part.pad - np.subtract(centre, pad))
            assert offset not in found
            found[offset] = part.weight[:, :, place[0], place[1]]
    taps = np.argwhere(kernel.weight.any(axis=(0, 1)))
    assert sorted(found) == [tuple(tap) for tap in taps + kernel.origin]
    for tap in taps:
        np.testing.assert_array_equal(found[tuple(tap + kernel.origin)], kernel.weight[:, :, tap[0], tap[1]])


@pytest.mark.parametrize("rows", AXES)
@pytest.mark.parametrize("columns", AXES)
def test_the_convolutions_add_up_to_the_layer(rows, columns):
    extent, centre, pad = zip(rows, columns, strict=True)
    rng = np.random.default_rng([*rows, *columns])
    for stride in ((1, 1), (2, 2), (1, 3)):
        outputs, per_group, groups = GROUPINGS[rng.integers(len(GROUPINGS))]
        kernel = sparse_kernel(rng, (outputs, per_group), groups)
        image = rng.normal(size=(per_group * groups, 18, 17))
        parts = dilated(kernel, extent, pad, centre)
        expected = layer_output(image, kernel, stride, extent, centre, pad)
        actual = sum(convolution_output(image, part, stride) for part in parts)
        np.testing.assert_allclose(actual, expected, atol=1e-12)
        assert_each_tap_is_in_one_part(kernel, parts, extent, pad, centre)
        assert cost(parts) <= cost([kernel.padded(extent, pad, centre)])


def test_a_lattice_moved_by_less_than_a_pixel():
    """Dense: 19 x 19. The pixels of one set are 36; of all sets 81, 3 x 3 around each place of the lattice."""
    rng = np.random.default_rng(0)
    one = dilated(kernel_of(*moved_lattice(rng, 1)), (17, 17), (8, 8))
    assert 36 <= cost(one) <= 81
    sixteen = dilated(kernel_of(*moved_lattice(rng, 16)), (17, 17), (8, 8))
    assert cost(sixteen) == 81


def test_a_lattice_that_did_not_move_is_one_dilated_convolution():
    (part,) = dilated(kernel_of(*lattice((3, 3), (8, 8))), (17, 17), (8, 8))
    assert (part.weight.shape[2:], part.dilation, part.pad) == ((3, 3), (8, 8), (8, 8))


@pytest.mark.parametrize(("synapses", "moved", "most"), [(25, 0, 120), (61, 0, 300), (61, 1, 600)])
def test_a_ring_of_radius_30(synapses, moved, most):
    """Dense: 3721, moved 3969."""
    x, y = ring(synapses, 30, 0, rounded=False)
    rng = np.random.default_rng(0)
    x, y = x + rng.uniform(-moved, moved, synapses), y + rng.uniform(-moved, moved, synapses)
    kernel = kernel_of(x, y)
    parts = dilated(kernel, (3, 3), (1, 1))
    assert cost(parts) <= most
    assert_each_tap_is_in_one_part(kernel, parts, (3, 3), (1, 1), (1, 1))


@pytest.mark.parametrize(
    ("outlier", "extent", "pad", "most"),
    [
        ((200, -3), 3, 1, 29),  # 5 x 5 around the others, and 4 taps: (+-200, +-3)
        ((200.3, -3.4), 3, 1, 41),  # 5 x 5, and 4 for each of 4 pixels
        ((200.3, -3.4), 3, 0, 41),
        ((200.3, -3.4), 2, 0, 52),  # 6 x 6
    ],
)
def test_one_synapse_far_from_the_others(outlier, extent, pad, most):
    rng = np.random.default_rng(0)
    x, y = (axis + rng.uniform(-0.4, 0.4, 9) for axis in lattice((3, 3)))
    x[3], y[3] = outlier
    assert cost(dilated(kernel_of(x, y), (extent,) * 2, (pad,) * 2)) <= most


def test_depthwise_sets_that_fill_a_square_and_some_outliers():
    """Four sets of 256 have a synapse far away: up to 16 pixels, 4 taps each. Dense: 81 x 121."""
    rng = np.random.default_rng(0)
    x, y = (axis + rng.uniform(-2, 2, (256, 9)) for axis in lattice((3, 3)))
    for s, (far_x, far_y) in enumerate([(40.5, 0.5), (22, -60), (-33, 10.5), (5.25, 30.75)]):
        x[s, s], y[s, s] = far_x, far_y
    kernel = kernel_of(x, y)
    parts = dilated(kernel, (3, 3), (1, 1))
    assert parts[0].weight.shape[2:] == (7, 7)
    assert cost(parts) <= 7 * 7 + 11 * 4
    assert_each_tap_is_in_one_part(kernel, parts, (3, 3), (1, 1), (1, 1))


def test_a_part_that_others_make_superfluous_is_dropped():
    """Without padding every convolution must reach as far as the extent, and covers more than it was chosen for."""
    kernel = kernel_of(*moved_lattice(np.random.default_rng(0), 1))
    parts = dilated(kernel, (17, 17), (0, 0))
    assert cost(parts) <= 169
    assert_each_tap_is_in_one_part(kernel, parts, (17, 17), (0, 0), (8, 8))


def test_of_two_parts_that_make_each_other_superfluous_one_stays():
    kernel = kernel_of(*np.random.default_rng(26).integers(-10, 11, (2, 31)).astype(float))
    assert_each_tap_is_in_one_part(kernel, dilated(kernel, (17, 17), (0, 0)), (17, 17), (0, 0), (8, 8))


def test_a_tap_that_two_parts_have_is_in_one():
    """A cross: a row and a column of 41, with the base point in both."""
    weight = np.zeros((1, 1, 41, 41))
    weight[..., 20, :] = weight[..., :, 20] = 1
    kernel = DenseKernel(weight, (-20, -20), 1)
    parts = dilated(kernel, (3, 3), (1, 1))
    assert cost(parts) == 2 * 41
    assert_each_tap_is_in_one_part(kernel, parts, (3, 3), (1, 1), (1, 1))


def test_full_and_less_full_convolutions_are_both_tried():
    """The first are better for 16 sets on a lattice (above), the second here, where each must reach 7 pixels."""
    rng = np.random.default_rng(0)
    x, y = (axis + rng.uniform(-1, 1, 25) for axis in ring(25, 12, 0, rounded=False))
    assert cost(dilated(kernel_of(x, y), (7, 7), (0, 0))) <= 243


def test_a_single_tap_of_a_large_kernel_without_padding():
    """3x3 with dilation 3 is the smallest that reaches as far as 7x7."""
    (part,) = dilated(kernel_of([0], [0]), (7, 7), (0, 0))
    assert (part.weight.shape[2:], part.dilation, part.pad) == ((3, 3), (3, 3), (0, 0))


@pytest.mark.parametrize(("extent", "pad"), [(3, 1), (3, 0), (2, 1), (5, 2)])
def test_where_nothing_is_cheaper_the_dense_kernel_comes_alone(extent, pad):
    rng = np.random.default_rng(0)
    kernel = kernel_of(*(axis + rng.uniform(-0.9, 0.9, (50, 9)) for axis in lattice((3, 3))))
    (part,) = dilated(kernel, (extent,) * 2, (pad,) * 2)
    dense = kernel.padded((extent,) * 2, (pad,) * 2)
    assert (part.pad, part.dilation) == (dense.pad, (1, 1))
    np.testing.assert_array_equal(part.weight, dense.weight)


def test_scattered_taps_beyond_the_bounds_of_the_search_stay_dense():
    """3600 taps in 401 x 401, and a row of 2500: more than 256 convolutions, and more than 1024 distances, hold."""
    rng = np.random.default_rng(0)
    kernel = kernel_of(*rng.uniform(-200, 200, (2, 100, 9)))
    (part,) = dilated(kernel, (3, 3), (1, 1))
    assert part.dilation == (1, 1)
    (part,) = dilated(kernel_of(rng.uniform(-2e4, 2e4, (1, 2500)), np.zeros((1, 2500))), (3, 3), (1, 1))
    assert part.dilation == (1, 1)


def test_a_large_lattice_and_one_tap_more():
    """More progressions than are searched: the one that matters is among them."""
    weight = np.zeros((1, 1, 601, 601))
    weight[..., ::2, ::2] = 1
    weight[..., 3, 5] = 1
    assert cost(dilated(DenseKernel(weight, (-300, -300), 1), (3, 3), (1, 1))) == 301 * 301 + 4


@pytest.mark.parametrize("origin", [(0, 0), (5, 5), (-9, 3)])
def test_a_kernel_of_zeros_is_a_convolution_of_zeros(origin):
    parts = dilated(DenseKernel(np.zeros((2, 2, 4, 4)), origin, 1), (3, 3), (0, 0))
    result = sum(convolution_output(np.ones((2, 8, 9)), part, (1, 1)) for part in parts)
    np.testing.assert_array_equal(result, np.zeros((2, 6, 7)))


def test_pruning_by_hand():
    weight = np.zeros((2, 1, 4, 5))
    weight[0, 0, 1, 2], weight[0, 0, 2, 2], weight[1, 0, 2, 4], weight[1, 0, 1, 3] = 8, -0.5, 1, -0.75
    all_left = prune(DenseKernel(weight, (-2, -1), 2), 0)
    assert (all_left.rows, all_left.columns) == (slice(1, 3), slice(2, 5))
    assert (all_left.kernel.origin, all_left.dropped, all_left.largest_change) == ((-1, 1), 0, 0)
    np.testing.assert_array_equal(all_left.kernel.weight, weight[:, :, 1:3, 2:5])
    # 1 is an eighth of the largest: it stays. 0.5 and 0.75 go, of different outputs.
    some = prune(DenseKernel(weight, (-2, -1), 2), 0.125)
    assert (some.dropped, some.largest_change) == (2, 0.75)
    assert some.kernel.weight.tolist() == [[[[8, 0, 0], [0, 0, 0]]], [[[0, 0, 0], [0, 0, 1]]]]
    one = prune(DenseKernel(weight, (-2, -1), 2), 0.2)
    assert (one.kernel.weight.ravel().tolist(), one.kernel.origin, one.largest_change) == ([8, 0], (-1, 1), 1.75)


def test_a_synapse_without_weight_does_not_widen_the_kernel():
    weight = np.ones((1, 1, 3))
    weight[..., 1] = 0
    kernel = extrapolate(weight, np.array([[0, 50.5, 1]]), np.array([[0, -20.5, 1]]))
    assert kernel.weight.shape[2:] == (23, 52)
    assert prune(kernel, 0).kernel.weight.shape[2:] == (2, 2)


@pytest.mark.parametrize(("origin", "nearest"), [((0, 0), (0, 0)), ((-2, -1), (0, 0)), ((5, -9), (5, -6))])
def test_one_tap_of_a_kernel_of_zeros_stays(origin, nearest):
    pruned = prune(DenseKernel(np.zeros((2, 2, 4, 4)), origin, 1), 0.5)
    assert (pruned.kernel.weight.shape, pruned.kernel.origin) == ((2, 2, 1, 1), nearest)
    assert (pruned.dropped, pruned.largest_change) == (0, 0)


@pytest.mark.parametrize(("outputs", "per_group", "groups"), GROUPINGS)
def test_the_largest_change_holds_and_is_attained(outputs, per_group, groups):
    rng = np.random.default_rng(groups)
    kernel = DenseKernel(rng.normal(size=(outputs, per_group, 4, 5)) ** 3, (-2, -1), groups)
    pruned = prune(kernel, 0.1)
    geometry = {"stride": (1, 1), "extent": (3, 3), "centre": (1, 1), "pad": (1, 1)}

    def change(image):
        before, after = (layer_output(image, each, **geometry) for each in (kernel, pruned.kernel))
        return np.abs(before - after)

    assert pruned.dropped > 0
    for _ in range(3):
        assert change(rng.uniform(-1, 1, (per_group * groups, 7, 7))).max() <= pruned.largest_change
    # The taps that went, each met by an input of its own sign, for the output they mean most to.
    lost = kernel.weight.copy()
    lost[:, :, pruned.rows, pruned.columns] -= pruned.kernel.weight
    d = int(np.abs(lost).sum(axis=(1, 2, 3)).argmax())
    image = np.zeros((per_group * groups, 7, 7))
    first = d // (outputs // groups) * per_group
    image[first : first + per_group, 1:5, 2:7] = np.sign(lost[d])
    assert change(image)[d, 3, 3] == pytest.approx(pruned.largest_change)


@pytest.mark.parametrize("threshold", [-0.1, 1, 1.5, np.nan])
def test_a_threshold_that_is_no_share_is_refused(threshold):
    with pytest.raises(UserError, match="a threshold of .*; at least 0 and less than 1 was expected"):
        prune(DenseKernel(np.ones((1, 1, 2, 2)), (0, 0), 1), threshold)


@pytest.mark.parametrize("shape", [(2, 3), (2, 1, 1, 3)])
def test_the_farthest_synapses_are_named(shape):
    x, y = np.array([[0, -2.5, 1], [200.25, 0, 0]]), np.array([[0, 0, 1], [-3.5, 0, 7]])
    found = farthest(x.reshape(shape), y.reshape(shape))
    assert [(far.side, far.set, far.synapse, far.x, far.y) for far in found] == [
        ("above", 1, 0, 200.25, -3.5),
        ("below", 1, 2, 0, 7),
        ("left", 0, 1, -2.5, 0),
        ("right", 1, 0, 200.25, -3.5),
    ]
    assert str(found[0]) == "synapse 0 of set 1 at (200.2, -3.5)"


INPUT = "layer { name: 'data' type: 'Input' top: 'data' input_param { shape { dim: 2 dim: 6 dim: 23 dim: 21 } } }"


def net_of(layers, path):
    import caffe

    path.write_text(INPUT + layers)
    return caffe.Net(str(path), caffe.TEST)


def sum_of_convolutions(parts, stride):
    """Layers of stock Caffe; the first one has the bias."""
    text = ""
    for i, part in enumerate(parts):
        (kernel_h, kernel_w), (pad_h, pad_w), (dilation_h, dilation_w) = part.weight.shape[2:], part.pad, part.dilation
        text += (
            f"layer {{ name: '{i}' type: 'Convolution' bottom: 'data' top: '{i}' convolution_param {{ "
            f"num_output: {len(part.weight)} group: {part.groups} stride_h: {stride[0]} stride_w: {stride[1]} "
            f"kernel_h: {kernel_h} kernel_w: {kernel_w} pad_h: {pad_h} pad_w: {pad_w} "
            f"dilation: {dilation_h} dilation: {dilation_w} {'bias_term: false' if i else ''} }} }} "
        )
    bottoms = " ".join(f"bottom: '{i}'" for i in range(len(parts)))
    return f"{text} layer {{ name: 'a' type: 'Eltwise' {bottoms} top: 'a' }}"


@pytest.mark.parametrize(
    "settings",
    [
        "type: 'ACU' convolution_param { num_output: 5 kernel_size: 3 pad: 8 dilation: 8",
        "type: 'GroupedACU' convolution_param { num_output: 6 kernel_size: 3 pad: 1 stride: 2 group: 6",
        "type: 'GroupedACU' convolution_param { num_output: 4 kernel_size: 2 dilation: 3 stride: 1 stride: 2 group: 2",
    ],
)
def test_in_caffe_the_convolutions_are_the_layer(settings, tmp_path):
    active = net_of(
        f"layer {{ name: 'a' bottom: 'data' top: 'a' {settings} weight_filler {{ type: 'gaussian' std: 1 }} "
        "bias_filler { type: 'gaussian' std: 1 } } }",
        tmp_path / "active.prototxt",
    )
    layer = read_active_layer(
        text_format.Parse((tmp_path / "active.prototxt").read_text(), caffe_pb2.NetParameter()).layer[1]
    )
    weight, bias, x, y = (blob.data for blob in active.params["a"])
    rng = np.random.default_rng(0)
    for positions in (x, y):
        positions += rng.uniform(-0.9, 0.9, positions.shape)
        positions.reshape(len(positions), -1)[0, 1] -= 9.5
    kernel = extrapolate(weight, x, y, layer.groups)
    parts = dilated(kernel, layer.extent, layer.pad, layer.centre)
    assert len(parts) > 1
    stock = net_of(sum_of_convolutions(parts, layer.stride), tmp_path / "stock.prototxt")
    for i, part in enumerate(parts):
        stock.params[str(i)][0].data[...] = part.weight
    stock.params["0"][1].data[...] = bias
    image, outputs = rng.normal(size=(2, 6, 23, 21)), []
    for net in (active, stock):
        net.blobs["data"].data[...] = image
        outputs.append(net.forward()["a"].copy())
    np.testing.assert_allclose(outputs[1], outputs[0], atol=2e-6 * np.abs(outputs[0]).max())
