"""What ``caffe-acu reproduce`` would do, how long that takes, and what it needs on disk."""

from dataclasses import dataclass

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.nets.datasets import DataSet
from caffe_acu.nets.model import Model
from caffe_acu.reproduce.conduct import Order, summary
from caffe_acu.reproduce.data_sets import data_folder, data_name, find_data
from caffe_acu.reproduce.estimate import disk_bytes, kept_bytes, time_networks
from caffe_acu.reproduce.execute import crops
from caffe_acu.reproduce.gpus import require_gpus
from caffe_acu.reproduce.plan import Training
from caffe_acu.reproduce.prepare_run import limit_tests
from caffe_acu.reproduce.progress import duration
from caffe_acu.reproduce.scale import scale_training


@dataclass(frozen=True)
class _Forecast:
    """Of one training. ``seconds``: None where its network could not be timed; bytes while it works, and after."""

    training: Training
    iterations: int
    seconds: float | None
    at_work: int
    kept: int

    @property
    def line(self) -> str:
        start = self.training.start
        begins = f", from {start.model.name} {start.folder.name}" if start else ""
        time = "not known how long" if self.seconds is None else f"about {duration(self.seconds)}"
        return f"  {_name(self.training)}: {self.iterations:,} iterations{begins}; {time}"


def dry_run(order: Order) -> list[str]:
    """Lines for a person; times the networks first. UserError if a GPU cannot be used."""
    machines = order.machines
    require_gpus(machines.gpus, machines.is_local)
    todo = [training for training in order.plan.trainings if not order.is_done(training)]
    models = list({training.model.folder: training.model for training in todo}.values())
    gpu = machines.gpus[0] if machines.gpus else None
    times = time_networks(models, order.results, gpu, machines.threads, machines.gpus_per_run)
    forecasts = {task.folder: _forecast(order, task, times[task.model.folder]) for task in todo}
    lines = [summary(order, todo)]
    for training in order.plan.trainings:
        known = forecasts.get(training.folder)
        absent = "" if order.has_data(training) else "; left out until its data set is there"
        lines.append(known.line + absent if known else f"  {_name(training)}: done")
    for data in {data_name(model.data): model.data for model in models}.values():
        lines.append(f"data: {_data(order, data)}")
    return [*lines, *_totals(order, list(forecasts.values()))] if forecasts else lines


def _name(training: Training) -> str:
    return f"{training.model.name}, seed {training.seed}"


def _data(order: Order, data: DataSet) -> str:
    """Whether it is there, and what is wrong with it: the call itself would refuse it."""
    try:
        found = find_data(data, data_folder(data, order.data), order.folder)
    except UserError as error:
        return str(error)
    return ", ".join(filter(None, (f"{found.folder} is there", found.difference(data, order.choices.limit))))


def _test_images(order: Order, data: DataSet) -> int | None:
    """How many the tests take, as far as the data set and the options tell."""
    try:
        return find_data(data, data_folder(data, order.data), order.folder).test_images(order.choices.limit)
    except UserError:
        return order.choices.limit


def _forecast(order: Order, training: Training, milliseconds: float | None) -> _Forecast:
    model = training.model
    net, solver = model.train_val(), model.schedule.message()
    limit_tests(solver, model, _test_images(order, model.data))
    scale_training(net, solver, order.choices.scale)
    return _Forecast(
        training,
        solver.max_iter,
        None if milliseconds is None else _passes(model, solver) * milliseconds / 1e3,
        disk_bytes(model, solver.max_iter, solver.display),
        kept_bytes(model, solver.max_iter, solver.display),
    )


def _passes(model: Model, solver: "caffe_pb2.SolverParameter") -> float:
    """As many iterations take as long as training and all tests; a test of an image takes a third of training on it."""
    source = model.data.source
    images = solver.test_iter[0] * source.test_batch
    tests = solver.max_iter // solver.test_interval + solver.test_initialization + crops(model)
    return solver.max_iter + tests * images / (3 * source.train_batch)


def _totals(order: Order, forecasts: list[_Forecast]) -> list[str]:
    machines = order.machines
    # Runs that share a GPU gain little.
    together = (len(machines.gpus) // machines.gpus_per_run or machines.at_once) if machines.is_local else 1
    seconds = [forecast.seconds for forecast in forecasts if forecast.seconds is not None]
    sending = ", what GPUs send each other" if machines.gpus_per_run > 1 else ""
    time = "time: not known, a network could not be timed here"
    if len(seconds) == len(forecasts):
        time = (
            f"time: about {duration(sum(seconds) / together)} in all, by the fastest of a few passes forward and "
            f"backward of each network on random images; reading{sending} and updates come on top"
        )
    kept = sum(forecast.kept for forecast in forecasts)
    at_work = max(forecast.at_work for forecast in forecasts)
    return [time, f"disk: {_size(kept)} when all is done, {_size(at_work)} for a run at work"]


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
