"""GroupedACU in the tools: descriptions, snapshots with several position sets, oblong kernels."""

import math

import numpy as np
import pytest
from google.protobuf import text_format

from caffe_acu.active_layer import read_active_layer
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.kernels import as_active, extrapolate
from caffe_acu.net_param import set_blob
from caffe_acu.positions import read_positions, read_series


def grouped(settings: str) -> "caffe_pb2.LayerParameter":
    return text_format.Parse(f"name: 'a' type: 'GroupedACU' {settings}", caffe_pb2.LayerParameter())


def test_description():
    layer = grouped("convolution_param { num_output: 8 kernel_size: 3 pad: 1 group: 4 } acu_param { warmup_iter: 3 }")
    active = read_active_layer(layer)
    assert (active.groups, active.sets, active.sets_slice_outputs, active.warmup_iter) == (4, 4, False, 3)
    layer.acu_param.position_group = 6
    active = read_active_layer(layer)
    assert (active.groups, active.sets) == (4, 6)
    assert active.start_x.tolist() == [-1, 0, 1] * 3


def write_snapshot(path, x: np.ndarray, y: np.ndarray) -> None:
    """A caffemodel of one layer of 6 channels in 2 groups, with 3 position sets."""
    net = caffe_pb2.NetParameter()
    net.layer.append(
        grouped("convolution_param { num_output: 4 kernel_size: 3 group: 2 } acu_param { position_group: 3 }")
    )
    for shape, values in (((4, 3, 3, 3), np.zeros(108)), ((4,), np.zeros(4)),
                          ((len(x), 1, 3, 3), x), ((len(y), 1, 3, 3), y)):  # fmt: skip
        set_blob(net.layer[0].blobs.add(), values.reshape(shape))
    path.write_bytes(net.SerializeToString())


def moved_sets(distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Set 0 stays on the lattice, set 1 moves right but for its origin, set 2 moves down altogether."""
    y, x = (np.tile(axis.ravel() - 1.0, (3, 1)) for axis in np.mgrid[:3, :3])
    x[1, np.arange(9) != 4] += distance
    y[2] += distance
    return x, y


def test_every_set_of_a_snapshot_is_read_with_its_own_fixed_synapse(tmp_path):
    x, y = moved_sets(0.5)
    write_snapshot(tmp_path / "a.caffemodel", x, y)
    (layer,) = read_positions(tmp_path / "a.caffemodel")
    assert layer.type == "GroupedACU"
    assert np.array_equal(layer.x, x) and np.array_equal(layer.y, y)
    assert layer.fixed.tolist() == [4, 4, -1]  # in set 2 no synapse sits at the origin
    assert layer.free.sum(axis=1).tolist() == [8, 8, 9]
    assert layer.mean_displacement == pytest.approx(0.5 * 17 / 25)


def test_a_series_has_an_axis_of_sets(tmp_path):
    for iteration, distance in ((10, 0.25), (20, 0.75)):
        write_snapshot(tmp_path / f"a_iter_{iteration}.caffemodel", *moved_sets(distance))
    (series,) = read_series(tmp_path.glob("*.caffemodel"))
    assert series.x.shape == (2, 3, 9)
    assert series.x[:, 1, 5].tolist() == [1.25, 1.75]
    assert series.y[:, 2, 4].tolist() == [0.25, 0.75]


def test_a_snapshot_with_another_number_of_sets_is_refused(tmp_path):
    x, y = moved_sets(0)
    write_snapshot(tmp_path / "a.caffemodel", x[:2], y[:2])
    with pytest.raises(UserError, match=r"a\.caffemodel: layer 'a' .*3 set\(s\) of 9 synapses were expected"):
        read_positions(tmp_path / "a.caffemodel")


def correlate(image: np.ndarray, weight: np.ndarray, stride: tuple[int, int], pad: tuple[int, int]) -> np.ndarray:
    """A convolution of one channel and one output, by definition."""
    padded = np.pad(image, [(p, p) for p in pad])
    kh, kw = weight.shape
    out = [(size - k) // s + 1 for size, k, s in zip(padded.shape, weight.shape, stride, strict=True)]
    result = np.empty(out)
    for i, j in np.ndindex(*out):
        top, left = i * stride[0], j * stride[1]
        result[i, j] = (padded[top : top + kh, left : left + kw] * weight).sum()
    return result


def sample(image: np.ndarray, row: float, column: float) -> float:
    """Equation 6, the weights of the four neighbours written as products of hats; 0 outside the image."""
    return sum(
        max(0.0, 1 - abs(row - r)) * max(0.0, 1 - abs(column - c)) * image[r, c] for r, c in np.ndindex(*image.shape)
    )


@pytest.mark.parametrize(
    ("extent", "centre", "pad", "stride"),
    [((3, 5), (1, 2), (1, 0), (1, 2)), ((4, 1), (2, 0), (0, 3), (2, 1)), ((3, 2), (2, 1), (1, 1), (2, 3))],
    ids=["odd", "even-and-single", "dilated-even"],
)
def test_rows_and_columns_are_not_mixed_up(extent, centre, pad, stride):
    """Everything that has two axes differs between them."""
    rng = np.random.default_rng(5)
    image, weight = rng.normal(size=(9, 7)), rng.normal(size=4)
    x, y = rng.uniform(-1, 3, 4), rng.uniform(-4, 0, 4)
    kernel = extrapolate(weight[None, None], x[None], y[None]).padded(extent, pad, centre)
    out = [(n + 2 * p - e) // s + 1 for n, p, e, s in zip(image.shape, pad, extent, stride, strict=True)]
    expected = np.zeros(out)
    for i, j in np.ndindex(*out):
        row, column = (at * s - p + c for at, s, p, c in zip((i, j), stride, pad, centre, strict=True))
        expected[i, j] = sum(w * sample(image, row + b, column + a) for w, a, b in zip(weight, x, y, strict=True))
    actual = correlate(image, kernel.weight[0, 0], stride, kernel.pad)
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_a_kernel_that_fits_already_is_not_enlarged():
    active = as_active(np.ones((2, 3, 5, 3)))
    kernel = extrapolate(active.weight, active.x, active.y).padded((5, 3), (2, 1))
    assert (kernel.weight.shape, kernel.pad) == ((2, 3, 5, 3), (2, 1))


def test_a_dilated_convolution_as_an_acu_and_back():
    weight = np.random.default_rng(6).normal(size=(4, 1, 3, 2))
    active = as_active(weight, dilation=(2, 3))
    kernel = extrapolate(active.weight, active.x, active.y, groups=4)
    assert kernel.origin == (-2, -3)
    assert kernel.weight.shape == (4, 1, 5, 4)
    np.testing.assert_array_equal(kernel.weight[:, :, ::2, ::3], weight)
    assert np.count_nonzero(kernel.weight) == weight.size


def test_every_weight_is_divided_without_loss():
    """The four shares of a weight add up to it, wherever its synapse is."""
    rng = np.random.default_rng(7)
    weight = rng.normal(size=(6, 2, 9))
    kernel = extrapolate(weight, *rng.uniform(-3, 3, (2, 3, 9)), groups=3)
    np.testing.assert_allclose(kernel.weight.sum(axis=(2, 3)), weight.sum(axis=2), atol=1e-12)
    assert math.prod(kernel.weight.shape[2:]) <= 8 * 8


def test_a_snapshot_whose_sets_do_not_divide_its_channels_is_refused(tmp_path):
    net = caffe_pb2.NetParameter()
    acu = net.layer.add(name="a", type="GroupedACU")
    acu.convolution_param.num_output = 2
    acu.convolution_param.kernel_size.append(1)
    acu.acu_param.position_group = 4
    for shape in ((2, 6, 1, 1), (2,), (4, 1, 1, 1), (4, 1, 1, 1)):
        set_blob(acu.blobs.add(), np.zeros(shape, np.float32))
    path = tmp_path / "a_iter_1.caffemodel"
    path.write_bytes(net.SerializeToString())
    with pytest.raises(UserError, match="a_iter_1.caffemodel: layer 'a'.* 4 position sets do not divide 6 input"):
        read_positions(path)
