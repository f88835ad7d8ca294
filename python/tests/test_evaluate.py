"""Errors against Caffe's own Accuracy layer and against loops; what bad input is told."""

import json

import caffe
import numpy as np
import pytest

import evaluate_sources as sources
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.cli.main import main
from caffe_acu.errors import UserError
from caffe_acu.evaluation.options import EvaluateOptions
from caffe_acu.evaluation.run import evaluate
from caffe_acu.net_param import read_net, set_blob

SIZE, CROP, COUNT, CLASSES = (20, 22), 16, 60, 7
SHAPE = (3, CROP, CROP)
TRANSFORM = f"crop_size: {CROP} mean_value: 110 scale: 0.02"
JUDGES = sources.LOSS + sources.accuracy(1) + sources.accuracy(5)
TRAIN_VAL = sources.body() + JUDGES


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An LMDB of JPEGs, ``lmdb``, and weights of the small network, ``random.caffemodel``."""
    folder = tmp_path_factory.mktemp("evaluate")
    sources.write_images(folder / "lmdb", "jpeg 4:2:0", COUNT, SIZE)
    sources.write_weights(folder, SHAPE)
    return folder


@pytest.fixture
def net(tmp_path, folder):
    """Writes a prototxt: a data layer of a batch that divides the records, then the text."""

    def write(text: str = TRAIN_VAL, transform: str = TRANSFORM, batch: int = 20, **data) -> object:
        path = tmp_path / "net.prototxt"
        path.write_text(sources.data_layer(data.pop("source", folder / "lmdb"), batch, transform, **data) + text)
        return path

    return write


def run(folder, net, **options):
    return evaluate(net, folder / "random.caffemodel", EvaluateOptions(**options))


def caffes_errors(folder, prototxt, batches: int) -> tuple[float, float]:
    """Top-1 and top-5 in percent, by the network's own Accuracy layers on its own data."""
    net = caffe.Net(str(prototxt), str(folder / "random.caffemodel"), caffe.TEST)
    # Numbers at once: what forward() returns is the network's memory.
    found = [[float(outputs[name]) for name in ("top1", "top5")] for outputs in (net.forward() for _ in range(batches))]
    return tuple(100 * (1 - np.mean(found, axis=0)))


@pytest.mark.parametrize("form", ["png", "raw", "float", "jpeg 4:4:4"])
def test_one_crop_gives_what_caffes_accuracy_gives(tmp_path, folder, net, form):
    source = sources.write_images(tmp_path / "lmdb", form, COUNT, SIZE)
    path = net(source=source)
    expected = caffes_errors(folder, path, 3)
    assert 0 < expected[1] < expected[0] < 100
    for batch in (None, 17, 1):  # 17 leaves a last batch that is not full
        errors = run(folder, path, top=(1, 5), batch=batch).errors
        assert [error.percent for error in errors] == pytest.approx(expected, abs=1e-4)


def test_ties_count_as_in_caffes_accuracy(tmp_path, folder, net):
    # All weights zero: every class scores the same, which is no answer, so every record is wrong.
    weights = read_net(folder / "random.caffemodel")
    for layer in weights.layer:
        for blob in layer.blobs:
            set_blob(blob, np.zeros(tuple(blob.shape.dim), np.float32))
    (tmp_path / "random.caffemodel").write_bytes(weights.SerializeToString())
    path = net()
    assert caffes_errors(tmp_path, path, 3) == (100, 100)
    assert [error.percent for error in run(tmp_path, path, top=(1, 5, 7)).errors] == [100, 100, 0]


def naive_ten(folder, view_scores) -> np.ndarray:
    """Averaged probabilities (COUNT, CLASSES), an image and a crop at a time, by Caffe on views cut here."""
    net = caffe.Net(str(view_scores), str(folder / "random.caffemodel"), caffe.TEST)
    rows = []
    for image in sources.images(COUNT, SIZE):
        planes = (image.transpose(2, 0, 1).astype(np.float32) - 110) * np.float32(0.02)
        total = 0
        for row, column in ((0, 0), (0, 6), (4, 0), (4, 6), (2, 3)):
            for step in (1, -1):
                net.blobs["data"].data[0] = planes[:, row : row + CROP, column : column + CROP][:, :, ::step]
                net.forward()
                powers = np.exp(net.blobs["score"].data[0].astype(np.float64))
                total = total + powers / powers.sum()
        rows.append(total / 10)
    return np.stack(rows)


def test_ten_crops_against_one_view_at_a_time(tmp_path, folder, net):
    path = net(source=sources.write_images(tmp_path / "lmdb", "png", COUNT, SIZE))
    deploy = tmp_path / "deploy.prototxt"
    deploy.write_text(sources.input_layer((1, *SHAPE)) + sources.body())
    order = np.argsort(-naive_ten(folder, deploy), axis=1)
    labels = [3 * i % CLASSES for i in range(COUNT)]
    places = [order[i].tolist().index(label) for i, label in enumerate(labels)]
    for batch in (None, 10, 70):
        ten = run(folder, path, crops=10, batch=batch)
        assert ten.ranks.tolist() == places
    assert ten.ranks.tolist() != run(folder, path).ranks.tolist()
    # A Softmax at the network's end is used as it is: the same average, and not that of a second softmax.
    deploy.write_text(sources.input_layer((1, *SHAPE)) + sources.body() + sources.SOFTMAX)
    options = {"data": tmp_path / "lmdb", "mean": "110", "scale": 0.02, "crops": 10}
    assert run(folder, deploy, **options).ranks.tolist() == places
    assert run(folder, deploy, scores="score", **options).ranks.tolist() == places


def old_input(shape) -> str:
    return 'input: "data" ' + " ".join(f"input_dim: {size}" for size in shape) + "\n"


def old_input_shape(shape) -> str:
    return 'input: "data" input_shape { ' + " ".join(f"dim: {size}" for size in shape) + " }\n"


@pytest.mark.parametrize("head", [sources.input_layer, old_input, old_input_shape])
def test_a_deploy_network_gives_the_same_as_its_train_val(tmp_path, folder, net, head):
    expected = run(folder, net())
    deploy = tmp_path / "deploy.prototxt"
    for tail in ("", sources.SOFTMAX):
        deploy.write_text(head((1, *SHAPE)) + sources.body() + tail)
        found = run(folder, deploy, data=folder / "lmdb", mean="110", scale=0.02)
        assert np.array_equal(found.ranks, expected.ranks)
        assert np.array_equal(found.labels, expected.labels)


def test_grey_images_for_a_network_of_three_channels(tmp_path, folder):
    source = sources.write_images(tmp_path / "lmdb", "grey jpeg", 4, SIZE)
    deploy = tmp_path / "deploy.prototxt"
    deploy.write_text(sources.input_layer((1, *SHAPE)) + sources.body())
    assert len(run(folder, deploy, data=source).ranks) == 4


def test_one_of_several_classifiers(folder, net):
    # As in GoogLeNet: a second classifier with a loss of its own, whose layers are not run for the first.
    second = sources.body().replace('"score"', '"score2"').replace('"conv"', '"conv2"').replace('"relu"', '"relu2"')
    path = net(TRAIN_VAL + second + sources.LOSS.replace("score", "score2").replace('"loss"', '"loss2"'))
    with pytest.raises(UserError, match=r"several blobs may be the scores \(score, score2\).*--scores"):
        run(folder, path)
    assert np.array_equal(run(folder, path, scores="score").ranks, run(folder, net()).ranks)


def test_an_accuracy_of_the_softmax_and_a_loss_mean_one_blob(folder, net):
    found = run(folder, net(sources.body() + sources.LOSS + sources.SOFTMAX + sources.accuracy(1, "prob")))
    assert found.scores == "score"


def test_a_data_set_of_the_project(tmp_path, capsys):
    data = tmp_path / "data"
    arguments = ["data", "generated", "--out", str(data), "--train", "20", "--test", "40", "--size", "16", "--pad", "2"]
    assert main([*arguments, "--radius", "2", "--classes", "4"]) == 0
    deploy = tmp_path / "deploy.prototxt"
    deploy.write_text(sources.input_layer((1, 3, 16, 16)) + sources.body(4))
    weights = sources.write_weights(tmp_path, (3, 16, 16), sources.body(4))
    capsys.readouterr()
    out = tmp_path / "out.json"
    command = ["evaluate", str(deploy), str(weights), "--data", str(data)]
    assert main([*command, "--per-class", "--top", "1", "2", "--json", str(out)]) == 0
    text, record = capsys.readouterr().out, json.loads(out.read_text())
    names = json.loads((data / "manifest.json").read_text())["classes"]
    assert list(record["per_class"]) == names
    assert [entry["records"] for entry in record["per_class"].values()] == [10] * 4
    for k in ("1", "2"):
        wrong = [entry["top"][k]["wrong"] for entry in record["per_class"].values()]
        share = sum(wrong) / 40
        top = record["top"][k]
        assert (top["wrong"], top["percent"]) == (sum(wrong), pytest.approx(100 * share))
        assert top["standard_error"] == pytest.approx(100 * (share * (1 - share) / 40) ** 0.5)
        assert f"top-{k} error: {top['percent']:.2f} % +- {top['standard_error']:.2f} (standard error)" in text
    assert "40 records, one crop of 16x16" in text and "test_lmdb" in text
    assert all(name in text for name in names)
    assert {"commit", "date", "processor"} <= set(record["environment"]) and record["crops"] == 1
    # The padded training images are larger than the network's input: their centre is taken.
    assert main([*command, "--split", "train", "--limit", "7"]) == 0
    assert "7 records" in capsys.readouterr().out
    assert main([*command, "--split", "val"]) == 2
    assert "--split: train, test" in capsys.readouterr().err


BAD_NETS = {
    "no input": (sources.body() + sources.LOSS, r"nothing takes the images"),
    "an image list": ('layer { name: "list" type: "ImageData" top: "data" top: "label" }', r"'list'.*ImageData.*LMDB"),
    "no LMDB": (sources.input_layer((1, *SHAPE)) + sources.body(), r"--data"),
    "nothing but input": (sources.input_layer((1, *SHAPE)), r"no blob of scores.*--scores"),
    "flat input": (sources.input_layer((1, 768)) + sources.body(), r"\(1, 768\).*four axes"),
    "a second input": (
        sources.input_layer((1, *SHAPE)) + sources.input_layer((1, 4, 7, 7), "other")
        + sources.body()
        + 'layer { name: "sum" type: "Eltwise" bottom: "conv" bottom: "other" top: "sum" }',
        r"several blobs may be the scores \(score, sum\)",
    ),
    "an unmade blob": (
        sources.input_layer((1, *SHAPE)) + sources.body().replace('bottom: "data"', 'bottom: "dta"'),
        r"'dta', which no layer",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "words"), BAD_NETS.values(), ids=BAD_NETS)
def test_bad_networks(tmp_path, folder, text, words):
    path = tmp_path / "bad.prototxt"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"^{path}: .*{words}"):
        run(folder, path)


def test_bad_networks_with_data(tmp_path, folder, net):
    with pytest.raises(UserError, match=r"layer 'data': has no top for the labels; add one"):
        run(folder, net(sources.body(), tops=("data",)))
    with pytest.raises(UserError, match=r"layer 'loss': compares with blob 'truth', not with the labels 'label'"):
        run(folder, net(sources.body() + sources.LOSS.replace('"label"', '"truth"')))
    with pytest.raises(UserError, match=r"--scores fc8: no layer makes.*conv, score"):
        run(folder, net(), scores="fc8")
    with pytest.raises(UserError, match=r"blob 'conv' has shape \(20, 4, 7, 7\).*one score"):
        run(folder, net(), scores="conv")
    with pytest.raises(UserError, match="neither an LMDB .* nor a data set .*--data"):
        run(folder, net(source=tmp_path / "nowhere"))


def change(layer: str, what) -> object:
    def apply(model) -> None:
        what(model, next(entry for entry in model.layer if entry.name == layer))

    return apply


BAD_WEIGHTS = {
    "a layer is missing": (change("conv", lambda model, layer: model.layer.remove(layer)), "no weights for.*'conv'"),
    "a shape differs": (
        change("score", lambda _, layer: set_blob(layer.blobs[0], np.zeros((7, 100), np.float32))),
        r"blob 0 of layer 'score' has shape \(7, 100\) there, \(7, 196\)",
    ),
    "ones in front": (  # which Caffe takes in the old form alone
        change("score", lambda _, layer: set_blob(layer.blobs[0], np.zeros((1, 1, 7, 196), np.float32))),
        r"'score' has shape \(1, 1, 7, 196\) there",
    ),
    "a blob is missing": (change("conv", lambda _, layer: layer.blobs.pop()), "'conv' has 1 blobs there, 2"),
    "NaN": (
        change("score", lambda _, layer: set_blob(layer.blobs[1], np.full(7, np.nan, np.float32))),
        "'score' holds NaN.*diverged",
    ),
}


@pytest.mark.parametrize(("damage", "words"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_weights_of_another_network(tmp_path, folder, net, damage, words):
    weights = read_net(folder / "random.caffemodel")
    damage(weights)
    (tmp_path / "random.caffemodel").write_bytes(weights.SerializeToString())
    with pytest.raises(UserError, match=words):
        run(tmp_path, net())


def test_weights_in_the_form_of_2013(tmp_path, folder, net):
    weights = read_net(folder / "random.caffemodel")
    for blob in (blob for layer in weights.layer for blob in layer.blobs):
        shape = [*([1] * (4 - len(blob.shape.dim))), *blob.shape.dim]
        blob.ClearField("shape")
        blob.num, blob.channels, blob.height, blob.width = shape
    (tmp_path / "random.caffemodel").write_bytes(weights.SerializeToString())
    assert np.array_equal(run(tmp_path, net()).ranks, run(folder, net()).ranks)


IMAGE = sources.images(1, SIZE)[0]
GOOD = sources.datum("png", IMAGE, 1)
BAD_RECORDS = {
    "none": ([], "lmdb: the LMDB is empty"),
    "too small": ([GOOD, sources.datum("raw", IMAGE[:12], 1)], "record 00000001: it is 12x22.*smaller than.*16x16"),
    "grey": ([GOOD, sources.datum("grey jpeg", IMAGE, 1)], "record 00000001: it has 1 channels, the network takes 3"),
    "label too large": ([GOOD, sources.datum("raw", IMAGE, 7)], "record 00000001 has label 7.*classes are 0 to 6"),
    "label below 0": ([sources.datum("raw", IMAGE, -1)], "label -1"),
    "no label": ([GOOD, caffe_pb2.Datum(channels=1, height=1, width=1, data=b"1")], "record 00000001 has no label"),
    "no Datum": ([GOOD, b"\x08"], "record 00000001 is no Datum"),
    "damaged": ([GOOD, caffe_pb2.Datum(encoded=True, data=b"x", label=1)], "record 00000001: .*cannot be decoded"),
    "the first damaged": ([caffe_pb2.Datum(encoded=True, label=1)], "record 00000000: .*cannot be decoded"),
}


@pytest.mark.parametrize(("records", "words"), BAD_RECORDS.values(), ids=BAD_RECORDS)
def test_bad_records(tmp_path, folder, net, records, words):
    source = sources.write_records(tmp_path / "lmdb", records)
    with pytest.raises(UserError, match=words):
        run(folder, net(source=source))


def test_bad_sizes(tmp_path, folder, net):
    mixed = [sources.datum("png", IMAGE[:16, :16], 1), GOOD]
    source = sources.write_records(tmp_path / "lmdb", mixed)
    with pytest.raises(UserError, match="record 00000001: it is 20x22, the first record 16x16; set a crop_size"):
        run(folder, net(source=source, transform=""))
    with pytest.raises(UserError, match="record 00000000: .*exactly as large as the crop.*--crops 1"):
        run(folder, net(source=source), crops=10)
    mean = tmp_path / "mean.binaryproto"
    blob = caffe_pb2.BlobProto()
    set_blob(blob, np.zeros((1, 3, 16, 16), np.float32))
    mean.write_bytes(blob.SerializeToString())
    with pytest.raises(UserError, match="record 00000000: it is 3x20x22, the mean 3x16x16"):
        run(folder, net(), mean=str(mean))


BAD_OPTIONS = {
    "as many as classes": ({"top": (1, 8)}, "--top 8: the network has 7 classes"),
    "top of 0": ({"top": (0,)}, "--top is 0"),
    "crops": ({"crops": 5}, "--crops is 5: it takes 1 or 10"),
    "batch": ({"batch": 9, "crops": 10}, "--batch is 9: it takes 10 or more"),
    "limit": ({"limit": 0}, "--limit is 0"),
    "mean of two": ({"mean": "1,2"}, "record 00000000: it is 3x20x22, the mean 2x1x1"),
    "mean file": ({"mean": "nowhere.binaryproto"}, "nowhere.binaryproto: the mean cannot be read"),
    "split of an LMDB": ({"split": "test"}, "is an LMDB itself: leave --split out"),
}


@pytest.mark.parametrize(("options", "words"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_bad_options(folder, net, options, words):
    with pytest.raises(UserError, match=words):
        run(folder, net(), **options)


def test_a_build_without_gpu_says_so(folder, net):
    if hasattr(caffe._caffe.Blob, "_gpu_data_ptr"):
        pytest.skip("this build has GPU passes")
    with pytest.raises(UserError, match=r"--gpu 0: this Caffe is built for the CPU only.*--cuda"):
        run(folder, net(), gpu=0)


def test_bad_files(tmp_path, folder, net):
    text = tmp_path / "mean.binaryproto"
    text.write_text("no mean")
    with pytest.raises(UserError, match="no binaryproto of a mean image"):
        run(folder, net(), mean=str(text))
    with pytest.raises(UserError, match="none.caffemodel: cannot be read"):
        evaluate(net(), tmp_path / "none.caffemodel")
    (tmp_path / "lmdb").mkdir()
    (tmp_path / "lmdb" / "data.mdb").write_bytes(b"something else" * 1000)
    with pytest.raises(UserError, match="lmdb: no LMDB, or a damaged one"):
        run(folder, net(source=tmp_path / "lmdb"))


def test_a_mistake_on_the_command_line_is_one_line(folder, net, capsys):
    assert main(["evaluate", str(net()), str(folder / "random.caffemodel"), "--top", "9"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "caffe-acu evaluate: --top 9: the network has 7 classes\n" and captured.out == ""


def test_an_interrupt_ends_it(folder, net, monkeypatch, capsys):
    import threading

    from caffe_acu.evaluation.network import Network

    calls = []

    def interrupted(self, images):
        calls.append(len(images))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return scores(self, images)

    scores = Network.scores
    monkeypatch.setattr(Network, "scores", interrupted)
    assert main(["evaluate", str(net()), str(folder / "random.caffemodel"), "--batch", "2"]) == 130
    assert capsys.readouterr().err == "caffe-acu evaluate: interrupted\n" and calls == [2, 2]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("records")]
