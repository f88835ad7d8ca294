"""The model of scaling: what is sent, held against the papers and pycaffe; and times, against hand calculation."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.net_param import read_prototxt
from caffe_acu.nets.zoo import all_models
from caffe_acu.papers.printed import printed_results
from caffe_acu.scaling.allreduce import Cluster, Link, fastest, halving_doubling, recursive_doubling, ring
from caffe_acu.scaling.gradient import Gradient, LayerGradient, gradient_of
from caffe_acu.scaling.model import Sending, Worker, assumed, estimate, measured

MODELS = {model.folder: model for model in all_models()}


def gradient(folder: str) -> Gradient:
    size = MODELS[folder].data.source.crop_size
    return gradient_of(MODELS[folder].train_val(), (3, size, size))


# ---- What is sent
@pytest.mark.parametrize(
    ("folder", "fixed"),  # of every set the x and the y that stay at the origin are sent, too
    [
        ("cvpr2017/plain", 0),
        ("cvpr2017/plain_acu", 6),
        ("grouped/resnet29", 0),
        ("grouped/resnet29_acu", 9),
        ("grouped/resnet29_x1d_acu", 3 * (64 + 128 + 256)),
        ("grouped/inception_acu", 358 + 672 + 3 * 716 + 739 + 2 * 1164 + 1024),
        ("grouped/xception", 0),
        ("grouped/xception_acu", 128 + 256 + 10 * 728),
        ("grouped/mobilenet_v2_x1.0", 0),
    ],
)
def test_what_is_sent_is_what_the_papers_count_and_the_fixed_synapses(folder, fixed):
    learned = gradient(folder).learned
    rows = [row for row in printed_results() if row.model == folder and row.params]
    assert rows or folder.startswith("cvpr2017/plain")
    assert all(row.as_printed(learned - 2 * fixed, row.params) == row.params for row in rows)
    # As another program counted them in the reading of the papers.
    exact = {"cvpr2017/plain": 855_162, "cvpr2017/plain_acu": 855_258, "grouped/resnet29_acu": 1_240_922}
    assert learned - 2 * fixed == exact.get(folder, learned - 2 * fixed)


def test_table_9_counts_the_fixed_synapses_as_they_are_sent():
    rows = [row for row in printed_results() if row.convention == "table9"]
    assert [row.as_printed(gradient(row.model).learned, row.params) for row in rows] == ["16.13M", "27.37M"]


NET = """
layer { name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: 4 dim: 3 dim: 8 dim: 8 } shape { dim: 4 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { name: "w" } param { lr_mult: 0 }
  convolution_param { num_output: 3 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "twin" type: "Convolution" bottom: "conv" top: "twin" param { name: "w" }
  convolution_param { num_output: 3 kernel_size: 3 pad: 1 bias_term: false } }
layer { name: "bn" type: "BatchNorm" bottom: "twin" top: "bn" }
layer { name: "scale" type: "Scale" bottom: "bn" top: "scale" scale_param { bias_term: true } }
layer { name: "acu" type: "ACU" bottom: "scale" top: "acu"
  convolution_param { num_output: 6 kernel_size: 3 pad: 1 bias_term: false weight_filler { type: "msra" } } }
layer { name: "grouped" type: "GroupedACU" bottom: "acu" top: "grouped"
  convolution_param { num_output: 6 group: 6 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "ip" type: "InnerProduct" bottom: "grouped" top: "ip" inner_product_param { num_output: 5 }
  include { phase: TRAIN } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" include { phase: TRAIN } }
"""


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(NET)
    return path


def test_it_is_what_the_blobs_of_a_trained_net_hold(net):
    """Layers of the training phase among them; a blob that two layers share counts once."""
    import caffe

    found = gradient_of(read_prototxt(net))
    blobs = {
        name: [blob.data.size for blob in blobs] for name, blobs in caffe.Net(str(net), caffe.TRAIN).params.items()
    }
    del blobs["twin"][0]
    assert {layer.name: layer.learned + layer.resting for layer in found.layers if layer.name in blobs} == {
        name: sum(sizes) for name, sizes in blobs.items()
    }
    resting = {layer.name: layer.resting for layer in found.layers if layer.resting}
    assert resting == {"conv": 3, "bn": 7, "acu": 1}  # lr_mult 0; statistics; a bias that is none
    assert found.learned == 81 + 6 + (162 + 18) + (54 + 6 + 108) + (5 * 384 + 5)
    assert found.batch == 4


def test_a_network_that_learns_nothing_sends_nothing():
    net = caffe_pb2.NetParameter()
    net.layer.add(name="data", type="Input", top=["data"]).input_param.shape.add().dim.extend((1, 3, 2, 2))
    with pytest.raises(UserError, match="no blob learns, so nothing is sent: is it the network that is trained"):
        gradient_of(net)


# ---- How long an all-reduce takes
LINK = Link(10, 50)  # 1.25 GB/s


@pytest.mark.parametrize(
    ("way", "workers", "size", "milliseconds"),
    [  # by hand: messages x 0.05 ms + bytes / (1.25 MB/ms)
        (ring, 2, 10e6, 2 * 0.05 + 2 * 5 / 1.25),
        (ring, 4, 10e6, 6 * 0.05 + 6 * 2.5 / 1.25),
        (ring, 64, 0, 126 * 0.05),
        (recursive_doubling, 4, 10e6, 2 * 0.05 + 2 * 10 / 1.25),
        (recursive_doubling, 5, 10e6, 4 * 0.05 + 4 * 10 / 1.25),
        (halving_doubling, 4, 10e6, 4 * 0.05 + 2 * (5 + 2.5) / 1.25),
        (halving_doubling, 64, 0, 12 * 0.05),
        (fastest, 64, 0, 6 * 0.05),
        (fastest, 2, 10e6, 0.05 + 10 / 1.25),  # to the only other one, once
    ],
)
def test_times_by_hand(way, workers, size, milliseconds):
    assert way(workers, size, LINK) * 1e3 == pytest.approx(milliseconds, rel=1e-12)


@pytest.mark.parametrize("workers", range(1, 18))
@pytest.mark.parametrize("kind", ["ring", "doubling", "halving"])
def test_times_of_messages_that_really_give_the_sum(kind, workers):
    """The algorithms themselves, on vectors: each round lasts as long as its longest message."""
    values = np.random.default_rng(workers).integers(0, 99, (workers, 240_240)).astype(float)
    total = values.sum(axis=0)
    rounds = {"ring": ring_rounds, "doubling": doubling_rounds, "halving": halving_rounds}[kind](values)
    assert np.array_equal(values, np.broadcast_to(total, values.shape))
    seconds = sum(50e-6 + 8 * longest / 1.25e9 for longest in rounds)
    way = {"ring": ring, "doubling": recursive_doubling, "halving": halving_doubling}[kind]
    assert way(workers, 8 * total.size, LINK) == pytest.approx(seconds, rel=1e-3)  # parts are of whole values


def ring_rounds(values: np.ndarray) -> list[int]:
    """Values of the longest message of each round; ``values`` (workers, n) become the sum."""
    workers = len(values)
    parts = np.array_split(np.arange(values.shape[1]), workers)
    longest = []
    for step in range(2 * (workers - 1)):
        sent = [(worker, parts[(worker - step) % workers]) for worker in range(workers)]
        messages = [values[worker, part].copy() for worker, part in sent]
        for (worker, part), message in zip(sent, messages, strict=True):
            to = (worker + 1) % workers
            values[to, part] = message + (values[to, part] if step < workers - 1 else 0)
        longest.append(max(map(len, messages)))
    return longest


def folded(values: np.ndarray, inner: Callable[[np.ndarray], list[int]]) -> list[int]:
    """``inner`` among the largest power of two of workers; the others hand over theirs before, and get the sum."""
    power = 1 << len(values).bit_length() - 1
    others, size = len(values) - power, values.shape[1]
    values[:others] += values[power:]
    longest = inner(values[:power])
    values[power:] = values[:others]
    return [size, *longest, size] if others else longest


def doubling_rounds(values: np.ndarray) -> list[int]:
    def inner(values: np.ndarray) -> list[int]:
        longest = []
        for bit in (1 << i for i in range(len(values).bit_length() - 1)):
            values += values[np.arange(len(values)) ^ bit]
            longest.append(values.shape[1])
        return longest

    return folded(values, inner)


def halving_rounds(values: np.ndarray) -> list[int]:
    def inner(values: np.ndarray) -> list[int]:
        workers, longest = len(values), []
        held = [np.arange(values.shape[1])] * workers
        bits = [1 << i for i in range(workers.bit_length() - 1)]
        for bit in reversed(bits):
            before = values.copy()
            for worker in range(workers):
                halves = np.array_split(held[worker], 2)
                held[worker] = halves[bool(worker & bit)]
                values[worker, held[worker]] += before[worker ^ bit, held[worker]]
                if worker == 0:
                    longest.append(len(halves[0]))
        for bit in bits:
            longest.append(max(map(len, held)))
            joined = [np.concatenate([held[worker], held[worker ^ bit]]) for worker in range(workers)]
            for worker in range(workers):
                values[worker, held[worker ^ bit]] = values[worker ^ bit, held[worker ^ bit]]
            held = joined
        return longest

    return folded(values, inner)


def test_of_a_link_messages_get_a_share():
    assert ring(2, 10e6, Link(10, 50, 0.5)) * 1e3 == pytest.approx(2 * 0.05 + 2 * 5 / 0.625, rel=1e-12)


def test_inside_a_node_first_and_then_between_them():
    inside = Link(100, 2)  # 12.5 GB/s
    cluster = Cluster(2, LINK, 4, inside)
    assert cluster.workers == 8
    by_hand = (6 * 0.002 + 6 * 2.5 / 12.5) + (2 * 0.05 + 2 * 5 / 1.25)
    assert cluster.all_reduce(10e6) * 1e3 == pytest.approx(by_hand, rel=1e-12)
    assert Cluster(1, LINK, 4, inside).all_reduce(10e6) * 1e3 == pytest.approx(6 * 0.002 + 6 * 2.5 / 12.5, rel=1e-12)
    assert Cluster(1, LINK).all_reduce(10e6) == 0


# ---- An iteration
# From the input: gradients of 10, 2.5 and 5 MB; the backward pass takes 10, 60 and 20 ms of 90.
LAYERS = [LayerGradient("a", 2_500_000, 7, 1), LayerGradient("b", 625_000, 0, 6), LayerGradient("c", 1_250_000, 0, 2)]
THREE = Gradient("three", 8, LAYERS, [])
ALONE = measured(8, 0.135)  # 45 ms forward


def times(bucket: float, **options) -> tuple[float, float, float]:
    """Milliseconds of the all-reduce, and of the iteration without and with overlap, on two machines."""
    got = estimate(THREE, ALONE, Cluster(2, Link(1, 1000)), Sending(bucket, **options))  # 0.125 MB/ms, 1 ms
    return got.all_reduce * 1e3, got.after_backward * 1e3, got.overlapped * 1e3


def test_messages_leave_while_the_backward_pass_goes_on():
    # All in one: 2 ms + 17.5 MB / 0.125 = 142. One by one: c is ready at 65 and sent at 65 + 2 + 40 = 107; b at 125,
    # sent at 125 + 2 + 20 = 147; a at 135, and waits until 147, sent at 147 + 2 + 80 = 229.
    assert times(1e6) == pytest.approx((142, 277, 229))
    # c alone, at 107; then b and a together, ready at 135: 135 + 2 + 100 = 237.
    assert times(5e6) == pytest.approx((142, 277, 237))
    # Too small to leave before the end.
    assert times(1e9) == pytest.approx((142, 277, 277))


def test_what_hides_behind_the_backward_pass_costs_nothing_but_the_last_message():
    got = estimate(THREE, ALONE, Cluster(2, Link(100, 0)), Sending(1e6))
    assert got.overlapped == pytest.approx(0.135 + 10e6 * 8 / 100e9)
    assert got.efficiency_overlapped == pytest.approx(0.135 / 0.1358)
    assert got.efficiency == pytest.approx(0.135 / (0.135 + 17.5e6 * 8 / 100e9))


def test_one_worker_loses_nothing():
    got = estimate(THREE, ALONE, Cluster(1, LINK))
    assert (got.efficiency, got.efficiency_overlapped, got.all_reduce) == (1, 1, 0)


def test_blobs_that_do_not_learn_may_be_sent_too():
    assert Sending(all_blobs=True).sizes(THREE) == [10_000_028, 2_500_000, 5_000_000]


def test_a_batch_that_is_divided():
    got = estimate(THREE, ALONE, Cluster(4, Link(1, 1000)), Sending(strong=True))
    assert got.compute == pytest.approx(0.135 / 4)
    assert got.efficiency == pytest.approx(0.03375 / (0.03375 + 0.006 + 1.5 * 0.14))
    with pytest.raises(UserError, match="8 images for 16 workers: with --strong each needs one at least"):
        estimate(THREE, ALONE, Cluster(16, LINK), Sending(strong=True))


def test_the_time_of_a_worker_by_counting():
    # Xception, 4.59G multiply-adds as printed: x 2 operations x 3 passes x 64 images = 1.76 TFLOP; at 20 of 67 TFLOP/s.
    worker = assumed(gradient("grouped/xception"), 64, 67, 20 / 67)
    assert worker.seconds == pytest.approx(4.59e9 * 6 * 64 / 20e12, rel=2e-3)
    assert "not measured" in worker.assumed


def test_efficiency_falls_with_workers_and_rises_with_rate_and_time():
    net = gradient("grouped/mobilenet_v2_x1.0_acu")

    def efficiency(workers: int, rate: float, seconds: float) -> float:
        return estimate(net, Worker(64, seconds, ""), Cluster(workers, Link(rate, 5))).efficiency

    for values in (
        [efficiency(n, 100, 0.02) for n in (64, 32, 16, 8, 4, 2, 1)],
        [efficiency(64, rate, 0.02) for rate in (10, 100, 400)],
        [efficiency(64, 100, seconds) for seconds in (0.01, 0.1, 1)],
    ):
        assert all(low < high for low, high in itertools.pairwise(values)) and values[0] > 0 and values[-1] <= 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Link(0, 5), "a link of 0 Gb/s with 5 us, of which 1 is had: the rate must be positive"),
        (lambda: Link(10, 5, 1.5), "of which 1.5 is had"),
        (lambda: Cluster(0, LINK), "0 nodes with 1 workers each: it takes 1 or more of both"),
        (lambda: Cluster(2, LINK, 4), "4 workers a node: give --inside, the link between them"),
        (lambda: measured(8, math.nan), "8 images in nan s: both must be positive"),
        (lambda: assumed(THREE, 8, 67, 0), "67 TFLOP/s, of which 0 is had"),
        (lambda: assumed(Gradient("", 1, [], []), 8, 67, 1), "the network multiplies nothing"),
        (lambda: Sending(0), "messages of 0 bytes"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()
