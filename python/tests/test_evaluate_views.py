"""What evaluate feeds to a network against Caffe's own Data layer, bit for bit, and ten crops against loops."""

import caffe
import numpy as np
import pytest

import evaluate_sources as sources
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.data.datum import decode
from caffe_acu.evaluation.nets import read_test_net
from caffe_acu.evaluation.options import EvaluateOptions
from caffe_acu.evaluation.records import Records
from caffe_acu.evaluation.run import make_viewing
from caffe_acu.evaluation.scores import average_views, ranks, softmax
from caffe_acu.evaluation.views import cut
from caffe_acu.net_param import set_blob

SIZE, COUNT = (37, 42), 4
MEAN = "mean_value: 103.94 mean_value: 116.78 mean_value: 123.68"


@pytest.fixture(scope="module")
def mean_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("mean") / "mean.binaryproto"
    blob = caffe_pb2.BlobProto()
    set_blob(blob, np.random.default_rng(1).uniform(0, 255, (1, 3, *SIZE)).astype(np.float32))
    path.write_bytes(blob.SerializeToString())
    return path


TRANSFORMS = (
    "",
    "crop_size: 32",  # (37 - 32) / 2 and (42 - 32) / 2: one of them is rounded
    f"crop_size: 31 scale: 0.0175438596 {MEAN}",
    "mean_value: 117.5 scale: 0.1",
    "crop_size: 28 mean_file scale: 0.00390625",
    "mean_file",
    "crop_size: 30 force_gray: true mean_value: 99.9",
    f"crop_size: 30 force_color: true {MEAN}",
)


def takes(form: str, transform: str) -> bool:
    """Whether Caffe takes the two together: what is not encoded has its channels, and a mean as many as the image."""
    if form in ("raw", "float"):
        return "force" not in transform
    return form != "grey jpeg" or "force_color" in transform or ("mean_file" not in transform and MEAN not in transform)


@pytest.mark.parametrize(
    ("form", "transform"),
    [(form, transform) for form in sources.FORMS for transform in TRANSFORMS if takes(form, transform)],
)
def test_the_input_is_that_of_caffes_data_layer(tmp_path, mean_file, form, transform):
    transform = transform.replace("mean_file", f'mean_file: "{mean_file}"')
    folder = sources.write_images(tmp_path / "lmdb", form, COUNT, SIZE)
    prototxt = tmp_path / "net.prototxt"
    prototxt.write_text(sources.data_layer(folder, COUNT, transform) + sources.body() + sources.LOSS)
    net = caffe.Net(str(prototxt), caffe.TEST)
    net.forward()

    with Records(folder) as records:
        viewing = make_viewing(read_test_net(prototxt), EvaluateOptions(), records)
        views, labels = records.batch(range(COUNT), viewing)
    assert views.shape == net.blobs["data"].data.shape
    assert np.array_equal(views, net.blobs["data"].data)
    assert np.ptp(views) > 0
    assert labels.tolist() == net.blobs["label"].data.tolist() == [0, 3, 6, 2]


def test_options_override_the_transform(tmp_path, mean_file):
    folder = sources.write_images(tmp_path / "lmdb", "png", 1, SIZE)
    prototxt = tmp_path / "net.prototxt"
    prototxt.write_text(sources.data_layer(folder, 1, f"scale: 3 {MEAN}") + sources.body() + sources.LOSS)
    net = read_test_net(prototxt)
    pixels = sources.images(1, SIZE)[0].transpose(2, 0, 1).astype(np.float32)
    with Records(folder) as records:
        for mean, scale, expected in (
            ("10,20,30", 2.0, (pixels - np.array([10, 20, 30]).reshape(3, 1, 1)) * 2),
            ("5", None, (pixels - 5) * 3),
            ("0", 1.0, pixels),
            (str(mean_file), 1.0, pixels - np.random.default_rng(1).uniform(0, 255, (3, *SIZE))),
        ):
            viewing = make_viewing(net, EvaluateOptions(mean=mean, scale=scale), records)
            assert np.allclose(records.batch([0], viewing)[0][0], expected, atol=1e-3)


def naive_ten(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pixel by pixel, from the description in the papers."""
    channels, rows, columns = image.shape
    starts = [
        (0, 0),
        (0, columns - width),
        (rows - height, 0),
        (rows - height, columns - width),
        ((rows - height) // 2, (columns - width) // 2),
    ]
    result = np.full((10, channels, height, width), np.nan)
    for i, (row, column) in enumerate(starts):
        for c in range(channels):
            for h in range(height):
                for w in range(width):
                    result[i, c, h, w] = image[c, row + h, column + w]
                    result[5 + i, c, h, width - 1 - w] = image[c, row + h, column + w]
    return result


@pytest.mark.parametrize("crop", [(5, 5), (8, 3), (4, 11), (7, 9)])
def test_ten_crops_against_loops(crop):
    image = np.random.default_rng(2).normal(size=(3, 8, 11)).astype(np.float32)
    views = np.empty((10, 3, *crop), np.float32)
    cut(image, crop, views)
    assert np.array_equal(views, naive_ten(image, *crop))


def test_ten_views_of_a_record_with_a_mean_image(tmp_path, mean_file):
    # The mean image belongs to the places of the whole image: it is cut and mirrored with it.
    folder = sources.write_images(tmp_path / "lmdb", "raw", 2, SIZE)
    prototxt = tmp_path / "net.prototxt"
    prototxt.write_text(
        sources.data_layer(folder, 2, f'crop_size: 32 scale: 0.5 mean_file: "{mean_file}"') + sources.body()
    )
    mean = np.random.default_rng(1).uniform(0, 255, (3, *SIZE)).astype(np.float32)
    with Records(folder) as records:
        views, _ = records.batch([0, 1], make_viewing(read_test_net(prototxt), EvaluateOptions(crops=10), records))
    for image, ten in zip(sources.images(2, SIZE), views.reshape(2, 10, 3, 32, 32), strict=True):
        assert np.array_equal(ten, naive_ten((image.transpose(2, 0, 1) - mean) * np.float32(0.5), 32, 32))


@pytest.mark.parametrize(
    ("datum", "words"),
    [
        (caffe_pb2.Datum(encoded=True, data=b"no image"), "cannot be decoded"),
        (caffe_pb2.Datum(encoded=True), "cannot be decoded"),
        (caffe_pb2.Datum(channels=3, height=2, width=2, data=b"12345"), "5 values for an image of 3x2x2"),
        (caffe_pb2.Datum(channels=3, height=2, width=2), "0 values"),
        (caffe_pb2.Datum(channels=1, height=1, width=3, float_data=[1, 2]), "2 values"),
    ],
)
def test_damaged_datums(datum, words):
    with pytest.raises(ValueError, match=words):
        decode(datum)


def test_sixteen_bits_are_refused():
    import cv2

    png = cv2.imencode(".png", np.full((4, 4, 3), 40_000, np.uint16))[1].tobytes()
    with pytest.raises(ValueError, match="uint16"):
        decode(caffe_pb2.Datum(encoded=True, data=png))


def test_softmax_by_hand():
    # Of logarithms it is their numbers, normalised; and large scores do not overflow.
    assert np.allclose(softmax(np.log([[1.0, 2.0, 5.0]])), [[0.125, 0.25, 0.625]])
    assert np.allclose(softmax(np.array([[1000.0, 1000.0]], np.float32)), [[0.5, 0.5]])


def test_probabilities_are_averaged_not_scores():
    # Two views: one is sure of class 0, the other leans to class 1, with the larger score.
    scores = np.array([[0.0, -9.0, -9.0], [5.0, 6.0, -9.0]])
    mean = average_views(scores, 2, probabilities=False)
    assert mean.argmax() == 0
    assert np.allclose(mean, [[(1 + 1 / (1 + np.e)) / 2, (np.e / (1 + np.e)) / 2, 0]], atol=1e-3)
    assert average_views(scores, 1, probabilities=False) is scores
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6]], np.float32)
    assert np.allclose(average_views(probabilities, 2, probabilities=True), [[0.65, 0.35]])


def test_a_tie_counts_against_the_network():
    scores = np.array([[1, 1, 1, 1], [4, 3, 2, 1], [1, 2, 3, 3], [5, 1, 1, 0]], np.float32)
    assert ranks(scores, np.array([2, 1, 0, 2])).tolist() == [3, 1, 3, 2]
