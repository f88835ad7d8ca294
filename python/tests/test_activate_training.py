"""Networks of `caffe-acu new` in training: weights step as before, positions as they are told; shared layers."""

import caffe
import numpy as np

from active_pair import Pair, conv, data, layer, layers_of
from caffe_acu.net_param import read_net

RATE = 0.5
DATA = (
    "layer {{ name: 'data' type: 'DummyData' top: 'data' top: 'wanted' include {{ phase: {phase} }} "
    "dummy_data_param {{ shape {{ dim: 4 dim: 3 dim: 8 dim: 8 }} shape {{ dim: 4 dim: 6 dim: 4 dim: 4 }} "
    "data_filler {{ type: 'gaussian' }} data_filler {{ type: 'gaussian' std: 2 }} }} }}\n"
)


def train_val() -> str:
    text = DATA.format(phase="TRAIN") + DATA.format(phase="TEST")
    text += conv("first", "data", "num_output: 6 kernel_size: 3 pad: 1 bias_term: false")
    text += layer("bn", "BatchNorm", "first", top="first") + layer("relu", "ReLU", "first", top="first")
    text += conv("last", "first", "num_output: 6 kernel_size: 3 pad: 1 stride: 2 group: 6")
    return text + layer("loss", "EuclideanLoss", "last wanted")


def trained(prototxt, weights, steps: int) -> dict[str, list[np.ndarray]]:
    """The blobs of the convolutions after so many steps, with data that depend on the seed alone."""
    solver_path = prototxt.with_suffix(".solver")
    solver_path.write_text(
        f'net: "{prototxt}" base_lr: {RATE} lr_policy: "fixed" momentum: 0.9 weight_decay: 0.01 random_seed: 3 '
        'solver_mode: CPU snapshot_prefix: "unused" snapshot_after_train: false test_iter: 1 test_interval: 1000'
    )
    solver = caffe.SGDSolver(str(solver_path))
    solver.net.copy_from(str(weights))
    caffe.set_random_seed(4)
    solver.step(steps)
    return {name: [blob.data.copy() for blob in blobs] for name, blobs in solver.net.params.items()}


def test_weights_step_as_before_and_positions_at_their_rate(tmp_path):
    pair = Pair(tmp_path, train_val())
    before, active = (trained(*files, steps=1) for files in ((pair.net, pair.weights), (pair.out, pair.out_weights)))
    start = {name: [blob.data.copy() for blob in blobs] for name, blobs in pair.nets()[1].params.items()}
    for name in ("first", "last"):
        assert not np.array_equal(active[name][0], start[name][0])
        for blob, expected in zip(active[name], before[name], strict=False):
            assert np.abs(blob - expected).max() < 1e-6
        length = np.hypot(*(active[name][axis] - start[name][axis] for axis in (2, 3)))
        # A normalised gradient has length 1, whatever the loss; the synapse in the middle stays.
        expected = np.full((3, 3), RATE * 0.01)
        expected[1, 1] = 0
        assert np.abs(length - expected).max() < 1e-6
    assert active["first"][1].tolist() == [[[[0]]]]


def test_positions_wait_for_the_end_of_the_warm_up(tmp_path):
    pair = Pair(tmp_path, train_val(), "--warmup", "2")
    start = {name: [blob.data.copy() for blob in blobs] for name, blobs in pair.nets()[1].params.items()}
    for steps, moves in ((2, False), (3, True)):
        blobs = trained(pair.out, pair.out_weights, steps)
        for name in ("first", "last"):
            assert not np.array_equal(blobs[name][0], start[name][0])
            assert [np.array_equal(blobs[name][axis], start[name][axis]) for axis in (2, 3)] == [not moves] * 2


SHARED = "param { name: 'w' } param { name: 'b' }"


def twins(head: str, second: str = "", more: str = SHARED) -> str:
    """Two layers with the same weights, on two bottoms."""
    text = head + layer("other", "Power", "data", "power_param { scale: 0.5 shift: 1 }")
    for name, bottom, spatial in (("one", "data", "pad: 1"), ("two", "other", second or "pad: 1")):
        text += conv(name, bottom, f"num_output: 4 kernel_size: 3 {spatial}", more)
    return text + layer("loss", "EuclideanLoss", "one two")


def trained_twins(folder, *options: str, **kind: str) -> dict[str, list[np.ndarray]]:
    """After 3 steps; the net before training is compared with what it was made of."""
    fixed = folder / "fixed"
    fixed.mkdir()
    for expected, actual in zip(*Pair(fixed, twins(data(), **kind), *options).passes(), strict=True):
        assert np.abs(actual - expected).max() <= 1e-6 * np.abs(expected).max()
    pair = Pair(folder, twins(DATA.format(phase="TRAIN") + DATA.format(phase="TEST"), **kind), *options)
    blobs = trained(pair.out, pair.out_weights, steps=3)
    for i in (0, 1):
        assert np.array_equal(blobs["one"][i], blobs["two"][i])
    return blobs


def test_layers_that_share_weights_share_positions(tmp_path, capsys):
    blobs = trained_twins(tmp_path)
    printed = capsys.readouterr().out
    assert "two  ACU 3x3, position sets: 1, positions shared with one\n" in printed
    assert "2 convolution(s) active, with 16 coordinates that learn\n" in printed
    for name in ("one", "two"):
        assert [param.name for param in layers_of(tmp_path / "active.prototxt")[name].param] == ["w", "b", "w_x", "w_y"]
    for i in (2, 3):
        assert np.array_equal(blobs["one"][i], blobs["two"][i])
    lattice = np.array([[-1, 0, 1]] * 3)
    # The step of one synapse, not of two: at most the sum of momentum's geometric series.
    moved = np.hypot(blobs["one"][2] - lattice, blobs["one"][3] - lattice.T)
    assert 0 < moved.max() < RATE * 0.01 * (1 + 1.9 + 2.71) * 1.001


def test_layers_that_start_apart_share_weights_only(tmp_path, capsys):
    blobs = trained_twins(tmp_path, second="pad: 2 dilation: 2")
    assert "shared" not in capsys.readouterr().out
    assert not np.array_equal(blobs["one"][2], blobs["two"][2])
    assert np.abs(blobs["two"][2] - [[-2, 0, 2]] * 3).max() < 0.1


def test_weights_may_be_shared_with_a_layer_that_stays(tmp_path, capsys):
    blobs = trained_twins(tmp_path, "--except", "two")
    assert "one  ACU 3x3, position sets: 1, weights shared with two, which stays a convolution\n" in (
        capsys.readouterr().out
    )
    assert len(blobs["two"]) == 2
    assert np.abs(blobs["one"][2] - [[-1, 0, 1]] * 3).max() > 0.001


def test_names_that_are_taken_are_left_alone(tmp_path):
    own = "param { name: 'w' } param { name: 'w_x' }"
    trained_twins(tmp_path, more=own)
    for name in ("one", "two"):
        names = [param.name for param in layers_of(tmp_path / "active.prototxt")[name].param]
        assert names == ["w", "w_x", "w_x_", "w_y"]


def test_a_layer_described_for_each_phase_shares_with_nobody(tmp_path):
    text = data()
    for phase in ("TRAIN", "TEST"):
        text += conv("c", "data", more=f"include {{ phase: {phase} }} {SHARED}")
    pair = Pair(tmp_path, text)
    for expected, actual in zip(*pair.passes(), strict=True):
        assert np.array_equal(actual, expected)
    for description in read_net(pair.out).layer[1:]:
        assert description.type == "ACU"
        assert [param.name for param in description.param] == ["w", "b", "", ""]
