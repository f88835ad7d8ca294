"""Run folders before training: prototxts, settings, and the data set they are for."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from google.protobuf import text_format

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.data.cifar_formats import CIFAR10, CIFAR100
from caffe_acu.data.generated import prepare_generated
from caffe_acu.data.options import Constellations, GeneratedOptions
from caffe_acu.data.pictures import imagenet, places
from caffe_acu.errors import UserError
from caffe_acu.net_param import read_prototxt
from caffe_acu.nets.datasets import (
    ALEXNET_PLACES,
    CVPR_CIFAR10,
    CVPR_CIFAR100,
    GROUPED_CIFAR10,
    IMAGENET,
    RESNET26_PLACES,
)
from caffe_acu.nets.zoo import all_models
from caffe_acu.reproduce.plan import Training, plan
from caffe_acu.reproduce.prepare_run import Choices, RunSettings, StartFrom, prepare_run, read_settings
from reproduce_runs import prepare_cifar10

MODELS = Path(__file__).resolve().parents[2] / "models"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return prepare_cifar10(tmp_path_factory.mktemp("cifar10"))["gcn-zca"]


def training(network: str, seed: int = 1) -> Training:
    trainings = plan("cvpr2017", "poster_ablation", seed).trainings
    return next(task for task in trainings if task.model.name == network and task.seed == seed)


def prepared(tmp_path: Path, task: Training, data: Path, **choices) -> Path:
    return prepare_run(tmp_path, task, Choices(data={"cifar10": data}, **choices))


def solver_of(path: Path) -> "caffe_pb2.SolverParameter":
    return text_format.Parse((path / "solver.prototxt").read_text(), caffe_pb2.SolverParameter())


def test_at_full_length_a_run_is_what_models_has_but_for_paths_and_seed(tmp_path, data):
    folder = prepared(tmp_path, training("plain_acu", 2), data)
    net, committed = (read_prototxt(path / "train_val.prototxt") for path in (folder, MODELS / "cvpr2017/plain_acu"))
    sources = []
    for layer in [*net.layer, *committed.layer]:
        if layer.type == "Data":
            sources.append(layer.data_param.source)
            layer.data_param.source = ""
    assert net == committed
    assert [(folder / source).resolve() for source in sources[:2]] == [data / "train_lmdb", data / "test_lmdb"]

    solver, printed = solver_of(folder), solver_of(MODELS / "cvpr2017/plain_acu")
    assert solver.random_seed == 2
    assert list(solver.test_iter) == [1]  # the data set has 100 test images, of 10,000
    for message in (solver, printed):
        for field in ("net", "snapshot_prefix", "random_seed", "test_iter", "position_log", "position_interval"):
            if field in message.DESCRIPTOR.fields_by_name:
                message.ClearField(field)
    assert solver == printed


def test_the_settings_tell_what_a_run_is(tmp_path, data):
    folder = prepared(tmp_path, training("plain_acu", 2), data, scale=64, limit=100)
    assert json.loads((folder / "run.json").read_text()) == {
        "model": "cvpr2017/plain_acu", "seed": 2, "scale": 64, "max_iter": 1000, "warmup_iter": 156,
        "data": str(data), "limit": 100, "start": None,
        "differs": "500 of 50,000 images to train, 100 of 10,000 images to test", "gpus_per_run": 1,
    }  # fmt: skip
    assert solver_of(folder).position_log == "positions.log" and solver_of(folder).position_interval == 1
    full = solver_of(prepared(tmp_path / "full", training("plain_acu"), data))
    assert full.position_interval == 100  # 640 records, and for longer runs not more
    rounded = prepared(tmp_path, training("plain_acu_round", 2), data, scale=64)
    start = json.loads((rounded / "run.json").read_text())["start"]
    assert start["conversion"] == "round"
    assert (rounded / start["run"]).resolve() == folder


@pytest.mark.parametrize(
    ("name", "former"), [("plain_acu_round", "round-positions"), ("resnet29_acu_fixed", "take-positions")]
)
def test_a_run_that_was_begun_when_conversions_had_other_names_goes_on(tmp_path, name, former):
    settings = RunSettings("any", 1, 1, 1, 0, "data", None, StartFrom(former, "../../other/seed1"))
    (tmp_path / "run.json").write_text(json.dumps(asdict(settings)))
    (model,) = (model for model in all_models() if model.name == name)
    assert read_settings(tmp_path).start.conversion == model.start.conversion


@pytest.mark.parametrize(
    ("change", "limit", "differs"),
    [
        ({}, None, ""),
        ({}, 10_000, ""),
        ({}, 500, "500 of 10,000 images to test"),
        ({"train": 49_999}, None, "49,999 of 50,000 images to train"),
        ({"test": 100}, 500, "100 of 10,000 images to test"),
        ({"source": "a.tar (images in a folder per class in x)"}, None, "data from image files"),
    ],
)
def test_what_is_not_as_in_the_paper_is_told(tmp_path, data, change, limit, differs):
    whole = shutil.copytree(data, tmp_path / "data")
    manifest = json.loads((whole / "manifest.json").read_text())
    for split, images in (("train", 50_000), ("test", 10_000)):
        manifest["splits"][split]["images"] = change.get(split, images)
    manifest["source"] = change.get("source", manifest["source"])
    (whole / "manifest.json").write_text(json.dumps(manifest))
    folder = prepared(tmp_path, training("plain"), whole, limit=limit)
    assert json.loads((folder / "run.json").read_text())["differs"] == differs


def test_whole_data_sets_have_the_official_numbers_of_images():
    official = {IMAGENET: imagenet.OFFICIAL, ALEXNET_PLACES: places.OFFICIAL, RESNET26_PLACES: places.OFFICIAL}
    for data_set, found in official.items():
        assert data_set.images == (found.train, found.test)
    for data_set, found in ((CVPR_CIFAR10, CIFAR10), (CVPR_CIFAR100, CIFAR100), (GROUPED_CIFAR10, CIFAR10)):
        assert data_set.images == (sum(found.train.values()), sum(found.test.values()))


def test_several_gpus_share_the_batch_of_the_paper(tmp_path, data):
    """Caffe reads batch_size images for every GPU; tests run on the first one alone."""
    alone, four = (prepared(tmp_path / str(n), training("plain_acu"), data, gpus_per_run=n) for n in (1, 4))
    nets = [read_prototxt(folder / "train_val.prototxt") for folder in (alone, four)]
    batches = [[layer.data_param.batch_size for layer in net.layer if layer.type == "Data"] for net in nets]
    assert batches == [[64, 100], [16, 100]]
    for net in nets:
        next(layer for layer in net.layer if layer.type == "Data").data_param.batch_size = 1
    assert nets[0] == nets[1]
    assert solver_of(alone) == solver_of(four)
    assert read_settings(four).gpus_per_run == 4


def test_a_run_keeps_its_number_of_gpus(tmp_path, data, capsys):
    from caffe_acu.cli.main import main

    folder = prepared(tmp_path, training("plain"), data, gpus_per_run=2)
    (folder / "train.log").write_text("")
    with pytest.raises(UserError, match=r"seed1: holds a run with --gpus-per-run 2, not 4: give the same options"):
        prepared(tmp_path, training("plain"), data, gpus_per_run=4)
    for words, message in (
        ([], "was prepared with --gpus-per-run 2, and is to train on 0 GPUs: give it as many"),
        (["--gpu", "0"], "was prepared with --gpus-per-run 2, and is to train on 1 GPUs: give it as many"),
        (["--gpus", "3"], "--gpus names 1, and the run was prepared with --gpus-per-run 2"),
    ):
        assert main(["run", str(folder), *words]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert not (folder / "env.json").exists()


def test_a_run_of_an_earlier_version_had_one_gpu(tmp_path, data):
    path = prepared(tmp_path, training("plain"), data) / "run.json"
    written = json.loads(path.read_text())
    del written["gpus_per_run"]
    path.write_text(json.dumps(written))
    (path.parent / "train.log").write_text("")
    assert prepared(tmp_path, training("plain"), data) == path.parent


def test_a_prepared_run_is_kept_and_not_mixed_with_another(tmp_path, data):
    folder = prepared(tmp_path, training("plain"), data)
    before = (folder / "solver.prototxt").stat().st_mtime_ns
    assert prepared(tmp_path, training("plain"), data) == folder
    assert (folder / "solver.prototxt").stat().st_mtime_ns == before
    (folder / "train.log").write_text("")
    with pytest.raises(UserError, match=r"seed1: holds a run with --limit none, not 10: give the same options"):
        prepared(tmp_path, training("plain"), data, limit=10)


def test_a_run_that_has_not_begun_takes_other_options(tmp_path, data):
    """As the first runs of a table whose second data set was refused."""
    shutil.copytree(data, tmp_path / "copy")
    prepared(tmp_path, training("plain_acu"), data)
    folder = prepared(tmp_path, training("plain_acu"), tmp_path / "copy", limit=64)
    assert json.loads((folder / "run.json").read_text())["limit"] == 64
    assert data_of(folder) == [tmp_path / "copy/train_lmdb", tmp_path / "copy/test_lmdb"]


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"start": null}'])
def test_damaged_settings_are_named_with_the_cure(tmp_path, data, text):
    (prepared(tmp_path, training("plain"), data) / "run.json").write_text(text)
    with pytest.raises(UserError, match=r"run\.json: damaged \(.*\): delete its folder, and the run begins anew"):
        prepared(tmp_path, training("plain"), data)


def data_of(folder: Path) -> list[Path]:
    layers = [layer for layer in read_prototxt(folder / "train_val.prototxt").layer if layer.type == "Data"]
    return [(folder / layer.data_param.source).resolve() for layer in layers]


def test_results_and_data_may_be_moved(tmp_path, data):
    """Each alone, and both; what was changed by hand in a network stays."""
    task, results, images = training("plain"), tmp_path / "results", tmp_path / "data"
    shutil.copytree(data, images)
    net = prepared(results, task, images) / "train_val.prototxt"
    net.write_text(net.read_text().replace("batch_size: 64", "batch_size: 4"))
    for place, there in (("a/b/c", "data"), ("a/b/c", "d/data"), ("e", "f/data")):
        if not (tmp_path / there).exists():
            (tmp_path / there).parent.mkdir()
            images = images.rename(tmp_path / there)
        if not (tmp_path / place).exists():
            (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
            results = results.rename(tmp_path / place)
        folder = prepared(results, task, images)
        assert data_of(folder) == [images / "train_lmdb", images / "test_lmdb"]
        assert json.loads((folder / "run.json").read_text())["data"] == str(images)
        assert "batch_size: 4 " in (folder / "train_val.prototxt").read_text().replace("\n", " ")


def test_a_data_set_may_be_named_otherwise_but_not_be_another(tmp_path, data, monkeypatch):
    folder = prepared(tmp_path, training("plain"), data)
    (folder / "train.log").write_text("")
    monkeypatch.chdir(data.parent)
    assert prepared(tmp_path, training("plain"), Path(data.name)) == folder
    shutil.copytree(data, tmp_path / "copy")
    with pytest.raises(UserError, match=f"holds a run with data {data.name}, not {tmp_path}/copy: give the same"):
        prepared(tmp_path, training("plain"), tmp_path / "copy")


def test_another_data_set_is_refused_with_the_command_that_makes_the_right_one(tmp_path, data):
    with pytest.raises(UserError, match=r"nowhere: no data set; make it with: caffe-acu data cifar10 --source"):
        prepared(tmp_path, training("plain"), tmp_path / "nowhere")
    grouped = plan("grouped", "table1", 1).trainings[0]
    with pytest.raises(UserError, match=r"preprocessed by gcn-zca, not gcn; make it with: .* --preprocess gcn "):
        prepared(tmp_path, grouped, data)
    prepare_generated(tmp_path / "dots", GeneratedOptions(8, 8, Constellations()))
    with pytest.raises(UserError, match=r"dots: has 8 classes, CIFAR-10 has 10; make it with"):
        prepared(tmp_path, training("plain"), tmp_path / "dots")
    assert not list(tmp_path.rglob("*.prototxt"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cvpr2017", "table9"], "no such table; there are table2, table3, table4, poster_ablation, figure4, figure5"),
        (["cvpr", "table2"], "cvpr: no such paper; there are cvpr2017, grouped\n"),
        (["cvpr2017", "table2", "--runs-per-gpu", "2"], "--runs-per-gpu 2: needs --gpus"),
        (["cvpr2017", "table2", "--gpus-per-run", "2"], "--gpus-per-run 2: needs --gpus, the GPUs that train a run"),
        (
            ["cvpr2017", "table2", "--gpus", "0,1", "--gpus-per-run", "4"],
            "--gpus-per-run 4: --gpus names 2: name as many",
        ),
        (
            ["cvpr2017", "table2", "--gpus", "0,1,2", "--gpus-per-run", "3"],
            "--gpus-per-run 3: cvpr2017/plain trains on 64 images at a time: give one of 1, 2, 4, 8, 16, 32, 64\n",
        ),
        (["cvpr2017", "table2", "--data", "cifar10"], "--data cifar10: it takes NAME=FOLDER"),
        (["cvpr2017", "table2", "--data", "mnist=x"], "uses cifar10, cifar100"),
        (["cvpr2017", "table2", "--seeds", "0"], "--seeds is 0: it takes 1 or more"),
        (["cvpr2017", "table2", "--scale", "0"], "--scale is 0: it takes 1 or more"),
        (["cvpr2017", "table2", "--executor", "slurm"], "--executor slurm: needs --profile"),
        (["cvpr2017", "poster_ablation"], "data/cifar10/lmdb: no data set; make it with: caffe-acu data cifar10"),
    ],
)
def test_bad_options_end_in_one_line(tmp_path, capsys, monkeypatch, words, message):
    from caffe_acu.cli.main import main

    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gpus", "x"], "argument --gpus: 'x' is no number of a GPU, such as 0\n"),
        (["--gpus", "0,"], "argument --gpus: '' is no number of a GPU, such as 0\n"),
        (["--gpus=-1"], "argument --gpus: '-1' is no number of a GPU, such as 0\n"),
        (["--runs-per-gpu", "0"], "argument --runs-per-gpu: '0': it takes 1 or more\n"),
        (["--gpus-per-run", "x"], "argument --gpus-per-run: 'x': it takes 1 or more\n"),
    ],
)
def test_numbers_of_gpus_that_are_none_are_told_in_words(capsys, words, message):
    from caffe_acu.cli.main import main

    with pytest.raises(SystemExit) as exit_:
        main(["reproduce", "cvpr2017", "table2", *words])
    assert exit_.value.code == 2 and capsys.readouterr().err.endswith(message)


def test_a_folder_of_something_else_is_no_run(tmp_path, capsys):
    from caffe_acu.cli.main import main

    assert main(["run", str(tmp_path)]) == 2
    assert f"{tmp_path}: no run in it (run.json)" in capsys.readouterr().err
