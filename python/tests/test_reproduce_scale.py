"""Shortened schedules: everything at n = 1, the same proportions at others."""

from fractions import Fraction

import pytest

from caffe_acu.nets.zoo import all_models
from caffe_acu.reproduce.scale import scale_training

MODELS = {model.folder: model for model in all_models()}
KINDS = ("cvpr2017/plain_acu", "cvpr2017/plain_acu_round", "cvpr2017/alexnet_acu", "cvpr2017/resnet26_acu",
         "grouped/resnet29_acu", "grouped/inception_acu")  # fmt: skip


def scaled(folder: str, n: int):
    net, solver = MODELS[folder].train_val(), MODELS[folder].schedule.message()
    scale_training(net, solver, n)
    return net, solver


def warmups(net) -> set[int]:
    return {layer.acu_param.warmup_iter for layer in net.layer if layer.acu_param.warmup_iter}


def test_nothing_changes_at_1():
    for folder, model in MODELS.items():
        assert scaled(folder, 1) == (model.train_val(), model.schedule.message())


@pytest.mark.parametrize("folder", KINDS)
@pytest.mark.parametrize("n", [2, 10, 64, 500])
def test_iterations_warm_up_and_drops_shrink_alike(folder, n):
    (net, solver), (full_net, full) = scaled(folder, n), scaled(folder, 1)
    pairs = [*zip(solver.stepvalue, full.stepvalue, strict=True), *zip(warmups(net), warmups(full_net), strict=True)]
    for short, long in pairs:
        assert abs(Fraction(long, n) - short) < 1
    assert 0 <= Fraction(full.max_iter, n) - solver.max_iter < 1 + Fraction(full.max_iter, 100 * n)
    assert (solver.base_lr, solver.gamma, solver.lr_policy, solver.power) == (
        full.base_lr, full.gamma, full.lr_policy, full.power,
    )  # fmt: skip
    assert solver.max_iter % solver.test_interval == 0  # so that the end is tested
    assert min(solver.display, solver.snapshot) >= 1


@pytest.mark.parametrize("folder", KINDS)
@pytest.mark.parametrize("n", [*range(1, 41), 64])
def test_a_curve_has_points_whatever_divides_the_iterations(folder, n):
    """4,691 of 300,240 iterations are a prime number: the end cannot be tested and anything before it."""
    solver, full = scaled(folder, n)[1], scaled(folder, 1)[1]
    assert solver.max_iter % solver.test_interval == 0
    wanted = full.test_interval // min(n, 10)
    assert wanted <= solver.test_interval <= 2 * wanted


def test_examples_by_hand():
    net, solver = scaled("cvpr2017/plain_acu", 64)
    assert (solver.max_iter, list(solver.stepvalue), warmups(net)) == (1000, [500, 750], {156})
    assert (solver.test_interval, solver.display, solver.snapshot) == (100, 1, 78)
    assert scaled("cvpr2017/plain_acu", 2)[1].test_interval == 500  # as many tests as at full length
    assert scaled("cvpr2017/plain_acu", 640)[1].test_interval == 50  # two at least
    assert scaled("cvpr2017/resnet26_acu", 1000)[1].max_iter == 350


@pytest.mark.parametrize("folder", KINDS)
@pytest.mark.parametrize("n", [7_000, 64_000, 10**7])
def test_both_drops_and_the_warm_up_stay_inside_however_short_it_is(folder, n):
    net, solver = scaled(folder, n)
    milestones = [0, *sorted(warmups(net)), *solver.stepvalue, solver.max_iter]
    assert all(a < b for a, b in zip(milestones, milestones[1:], strict=False))
    assert 1 <= solver.test_interval <= solver.max_iter


def test_statistics_forget_the_beginning_of_a_short_run():
    def fractions(n: int) -> set[float]:
        net = scaled("cvpr2017/plain_acu", n)[0]
        return {
            round(layer.batch_norm_param.moving_average_fraction, 6) for layer in net.layer if layer.type == "BatchNorm"
        }

    # 1000 iterations are remembered; a tenth of them; never fewer than 20.
    assert (fractions(1), fractions(10), fractions(50), fractions(5000)) == ({0.999}, {0.99}, {0.95}, {0.95})
