"""Reading the folders of runs: finished, half written, hostile."""

import json
import os

import numpy as np
import pytest

from caffe_acu import position_log
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.positions import LayerSeries
from caffe_acu.reproduce.metrics import write_metrics
from caffe_acu.reproduce.records import find_runs, read_run
from caffe_acu.training_log import read_training_log
from run_folders import write_log, write_run, write_table

MODEL = "grouped/resnet29_acu"


def test_a_finished_run(tmp_path):
    folder = write_run(tmp_path, MODEL, 3, 5.61, top5=0.2)
    run = read_run(folder)
    assert (run.model, run.seed, run.scale, run.max_iter, run.warmup_iter, run.done) == (MODEL, 3, 1, 64000, 100, True)
    assert (run.test_error(1, 1), run.test_error(5, 1)) == (5.61, 0.2)
    assert run.environment()["seed"] == 3
    assert run.iteration == 900
    assert run.positions() == []


def test_curves_of_a_log(tmp_path):
    folder = write_run(tmp_path, MODEL, 1)
    write_log(folder, [0, 10, 20], [2.5, 1.25, float("nan")], [0, 20], [90, 12.5])
    metrics = read_run(folder).metrics()
    np.testing.assert_array_equal(metrics.train_iteration, [0, 10, 20])
    np.testing.assert_array_equal(metrics.train_loss, [2.5, 1.25, np.nan])
    np.testing.assert_array_equal(metrics.test_iteration, [0, 20])
    np.testing.assert_allclose(metrics.test_error, [90, 12.5])


def test_curves_of_a_table(tmp_path):
    folder = write_run(tmp_path, MODEL, 1)
    write_table(folder, [(0, 2.3, "", ""), (50, "", 2.1, 88.5), (100, "nan", 1.5, "")])
    metrics = read_run(folder).metrics()
    np.testing.assert_array_equal(metrics.train_iteration, [0, 100])
    np.testing.assert_array_equal(metrics.train_loss, [2.3, np.nan])
    np.testing.assert_array_equal(metrics.test_iteration, [50, 100])
    np.testing.assert_array_equal(metrics.test_loss, [2.1, 1.5])
    np.testing.assert_array_equal(metrics.test_error, [88.5, np.nan])


def test_the_learning_rate_and_where_it_drops(tmp_path):
    """The same from the log and from the table that is made of it."""
    folder = write_run(tmp_path, MODEL, 1)
    rates = [0.1, 0.1, 0.01, 0.01, 0.001]
    write_log(folder, range(0, 60, 10), np.ones(6), [], [], rates)
    for _ in range(2):
        metrics = read_run(folder).metrics()
        np.testing.assert_array_equal(metrics.rate, [*rates, np.nan])  # of the last iteration Caffe tells none
        assert metrics.rate_drops == [(20, 0.01), (40, 0.001)]
        write_metrics(read_training_log(folder / "train.log"), folder / "metrics.csv")


def test_a_rate_that_falls_all_the_time_does_not_drop(tmp_path):
    folder = write_run(tmp_path, MODEL, 1)
    write_log(folder, range(100), np.ones(100), [], [], np.linspace(0.1, 0, 100))
    assert read_run(folder).metrics().rate_drops == []


def test_a_log_that_went_on_is_newer_than_its_table(tmp_path):
    folder = write_run(tmp_path, MODEL, 1)
    write_table(folder, [(0, 2.3, "", "")])
    os.utime(folder / "metrics.csv", (1, 1))
    assert read_run(folder).iteration == 900
    (folder / "train.log").unlink()
    assert read_run(folder).iteration == 0


@pytest.mark.parametrize("log", [None, "", "I2026 caffe.cpp] Using CPUs\n"])
def test_before_the_first_iteration_there_are_no_curves(tmp_path, log):
    folder = write_run(tmp_path, MODEL, 1)
    (folder / "train.log").unlink()
    if log is not None:
        (folder / "train.log").write_text(log)
    metrics = read_run(folder).metrics()
    assert (len(metrics.train_loss), len(metrics.test_error), metrics.iteration) == (0, 0, 0)


@pytest.mark.parametrize(
    "text",
    [
        "iteration,lr\n1,0.1\n",
        "iteration,lr,train_loss,test_loss,test_error_percent\n5,0.1,2.3\n",
        "iteration,lr,train_loss,test_loss,test_error_percent\n5,0.1,x,,\n",
        "iteration,lr,train_loss,test_loss,test_error_percent\n5,0.1,2,,\n4,0.1,2,,\n",
        "iteration,lr,train_loss,test_loss,test_error_percent\n,0.1,2,,\n",
        b"\xff\xfe\x00",
    ],
)
def test_a_damaged_table_is_named(tmp_path, text):
    folder = write_run(tmp_path, MODEL, 1)
    (folder / "metrics.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=r"metrics.csv: damaged \(.*delete it"):
        read_run(folder).metrics()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "[" * 100_000, '"x"', "{}", b"\xff\x00", '{"model": 7}']
    + [
        json.dumps(
            {"model": MODEL, "seed": 1, "scale": 1, "max_iter": 10, "warmup_iter": 0, "data": "", "limit": None} | wrong
        )
        for wrong in (
            {"seed": "1"}, {"seed": -1}, {"seed": True}, {"scale": 0}, {"scale": None}, {"max_iter": 1.5},
            {"warmup_iter": -1}, {"gpus_per_run": 0}, {"limit": 0}, {"limit": "all"}, {"data": None}, {"model": None},
        )
    ],
)  # fmt: skip
def test_a_foreign_description_is_one_line(tmp_path, text):
    folder = write_run(tmp_path, MODEL, 1)
    (folder / "run.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as caught:
        read_run(folder)
    assert str(folder / "run.json") in str(caught.value) and "\n" not in str(caught.value)


def test_a_network_without_acus_has_no_warm_up(tmp_path):
    run = read_run(write_run(tmp_path, "grouped/resnet29", 1, warmup_iter=None))
    assert (run.warmup_iter, run.gpus_per_run) == (0, 1)  # of an earlier version, which had one


def test_what_else_lies_among_the_runs(tmp_path):
    kept = [write_run(tmp_path, MODEL, seed, 5.0) for seed in (2, 10, 1)]
    place = kept[0].parent
    write_run(tmp_path, "grouped/resnet29", 4, 5.0).rename(place / "seed4")
    write_run(tmp_path, MODEL, 5, 5.0).rename(place / "seed6")
    (place / "seed7").mkdir()
    (place / "seed8").write_text("")
    (place / "seed01").mkdir()
    (place / "notes").mkdir()
    (place / ".hidden").mkdir()
    runs, foreign = find_runs(tmp_path, MODEL)
    assert [run.seed for run in runs] == [1, 2, 10]
    assert len(foreign) == 6
    for name in ("seed4", "seed6", "seed7", "seed8", "seed01", "notes"):
        (line,) = [line for line in foreign if f"/{name}:" in line]
        assert "\n" not in line


def test_nothing_there_is_no_run(tmp_path):
    assert find_runs(tmp_path / "none", MODEL) == ([], [])


@pytest.mark.parametrize(
    "test, words",
    [
        ({"crops": 10, "top": {"1": {"percent": 5}}}, "10 crops"),
        ({"crops": 1, "top": {}}, "no top-1"),
        ({"crops": 1, "top": None}, "no top-1"),
        ({"crops": 1, "top": {"1": {"percent": "5"}}}, "no percentage"),
        ({"crops": 1, "top": {"1": {"percent": float("nan")}}}, "no percentage"),
        ({"crops": 1, "top": {"1": {"percent": 100.5}}}, "no percentage"),
        ({"crops": 1, "top": {"1": {"percent": True}}}, "no percentage"),
    ],
)
def test_a_test_that_does_not_count(tmp_path, test, words):
    folder = write_run(tmp_path, MODEL, 1, 5.0)
    (folder / "test.json").write_text(json.dumps(test))
    with pytest.raises(UserError, match=words):
        read_run(folder).test_error(1, 1)


def test_positions_of_snapshots(tmp_path):
    folder = write_run(tmp_path, MODEL, 1)
    for iteration, x in ((0, 0.0), (100, 0.25)):
        _snapshot(folder, iteration, x)
    (layer,) = read_run(folder).positions()
    np.testing.assert_array_equal(layer.iterations, [0, 100])
    np.testing.assert_array_equal(layer.x[:, 0, 0], [0, 0.25])


def test_a_snapshot_of_convolutions_has_no_positions(tmp_path):
    folder = write_run(tmp_path, MODEL, 1)
    net = caffe_pb2.NetParameter(layer=[caffe_pb2.LayerParameter(name="conv", type="Convolution")])
    (folder / "snapshots/a_iter_5.caffemodel").write_bytes(net.SerializeToString())
    assert read_run(folder).positions() == []


def test_positions_of_the_log(tmp_path, monkeypatch):
    folder = write_run(tmp_path, MODEL, 1)
    _snapshot(folder, 0, 0.0)
    _readers(monkeypatch)
    (folder / "positions.log").write_bytes(b"")
    assert [layer.layer for layer in read_run(folder).positions()] == ["of positions.log"]
    np.savez(folder / "positions.npz", x=np.zeros(3))
    assert [layer.layer for layer in read_run(folder).positions()] == ["of positions.npz"]

    def damaged(path):
        raise ValueError("not a zip")

    monkeypatch.setattr(position_log, "load_npz", damaged)
    with pytest.raises(UserError, match=r"positions.npz: damaged \(not a zip\)"):
        read_run(folder).positions()


def _readers(monkeypatch) -> None:
    def read(path):
        zeros = np.zeros((1, 1, 1))
        return [LayerSeries(f"of {path.name}", "ACU", np.array([0]), zeros, zeros, np.array([-1]), (1, 1), 0)]

    for name in ("load_npz", "read_position_log"):
        monkeypatch.setattr(position_log, name, read)


def _snapshot(folder, iteration, x):
    layer = caffe_pb2.LayerParameter(name="acu", type="ACU")
    layer.convolution_param.num_output = 1
    layer.convolution_param.kernel_size.append(1)
    for shape, value in (((1, 1, 1, 1), 1), ((1,), 0), ((1, 1, 1, 1), x), ((1, 1, 1, 1), 0)):
        blob = layer.blobs.add(data=[value])
        blob.shape.dim.extend(shape)
    net = caffe_pb2.NetParameter(layer=[layer])
    (folder / f"snapshots/resnet29_acu_iter_{iteration}.caffemodel").write_bytes(net.SerializeToString())
