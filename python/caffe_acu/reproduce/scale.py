"""A paper's schedule, shortened n times: iterations, warm-up and drops of the rate together.

At n = 1 nothing changes. What is made at any other n shows that things work, and is no reproduction.
"""

from caffe_acu.caffe_proto import caffe_pb2

# Above this the tests of the papers' schedules, each over all test images, would take longer than the training.
_FULL_TESTS = 10
# BatchNorm's statistics must not remember the beginning of a short run: Caffe's default remembers about 1000
# iterations, so that is shortened as everything else, down to 20 iterations, which a mean needs.
_BN_FRACTION, _LEAST_BN_FRACTION = 0.999, 0.95

# Of positions in a run, or up to twice as many: every 100 of CIFAR's 64,000 iterations. More would be gigabytes for the
# depthwise networks on ImageNet, and no slider shows them.
_POSITION_RECORDS = 640


def position_interval(max_iter: int) -> int:
    """Iterations from one record of the positions to the next."""
    return max(1, max_iter // _POSITION_RECORDS)


def scale_training(net: "caffe_pb2.NetParameter", solver: "caffe_pb2.SolverParameter", n: int) -> None:
    """Shortens a training n times, in place.

    The order of warm-up, drops and end is kept, with an iteration between them at least, however great n is. Tests
    and the run's end fall together, so that there is an error of the end; for that it may be a hundredth sooner. A
    linearly falling rate (poly) ends at 0 as before, since it goes by ``max_iter``.
    """
    if n == 1:
        return
    warmups = [layer.acu_param.warmup_iter for layer in net.layer if layer.acu_param.warmup_iter]
    scaled = _scale_milestones({*warmups, *solver.stepvalue, solver.max_iter}, n)
    for layer in net.layer:
        if layer.acu_param.warmup_iter:
            layer.acu_param.warmup_iter = scaled[layer.acu_param.warmup_iter]
        if layer.type == "BatchNorm":
            memory = n * (1 - _BN_FRACTION)
            layer.batch_norm_param.moving_average_fraction = max(_LEAST_BN_FRACTION, round(1 - memory, 6))
    solver.stepvalue[:] = [scaled[step] for step in solver.stepvalue]
    end, interval = scaled[solver.max_iter], solver.test_interval // min(n, _FULL_TESTS)
    solver.max_iter, solver.test_interval = _end_with_test(end, interval)
    for field in ("display", "snapshot"):
        setattr(solver, field, max(1, getattr(solver, field) // n))


def _scale_milestones(iterations: set[int], n: int) -> dict[int, int]:
    scaled: dict[int, int] = {}
    last = 0
    for iteration in sorted(iterations):
        scaled[iteration] = last = max(last + 1, iteration // n)
    return scaled


def _end_with_test(end: int, wanted: int) -> tuple[int, int]:
    """The last iteration, and between tests the ``wanted`` number of iterations or up to twice as many.

    Where nothing of that kind divides the end, training ends up to a hundredth sooner; if that does not help, it is
    tested seldom or, in a very short run, twice.
    """
    for sooner in range(end, end - end // 100 - 1, -1):
        for interval in range(wanted, min(2 * wanted, sooner - 1) + 1):
            if sooner % interval == 0:
                return sooner, interval
    divisors = [d for d in range(2, end) if end % d == 0]
    return end, next((d for d in divisors if d >= wanted), divisors[-1] if divisors else end)
