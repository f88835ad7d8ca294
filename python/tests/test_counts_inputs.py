"""Input shapes of networks that are counted: what the prototxt tells, against Caffe, and what must be given."""

import caffe
import lmdb
import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.counts.handlers import INPUTS
from caffe_acu.counts.handlers.inputs import declared_inputs
from caffe_acu.counts.network import count_network
from caffe_acu.errors import UserError

IMAGE = (3, 12, 10)  # of the files that Caffe reads


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """By type: a source as its layer reads it."""
    folder = tmp_path_factory.mktemp("sources")
    Image.fromarray(np.zeros((*IMAGE[1:], 3), np.uint8)).save(folder / "image.png")
    (folder / "images.txt").write_text(f"{folder}/image.png 0\n")
    windows = "2\n1 1.0 0 0 5 5\n0 0.0 2 2 7 7\n"  # of the foreground and of the background
    (folder / "windows.txt").write_text(f"# 0\n{folder}/image.png\n3\n12\n10\n{windows}")
    datum = caffe_pb2.Datum(channels=3, height=12, width=10, data=bytes(360), label=0)
    with lmdb.open(str(folder / "lmdb")) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"0", datum.SerializeToString())
    write_hdf5(folder)
    (folder / "hdf5.txt").write_text(f"{folder}/records.h5\n")
    names = {"Data": "lmdb", "ImageData": "images.txt", "WindowData": "windows.txt", "HDF5Data": "hdf5.txt"}
    return {type_: folder / name for type_, name in names.items()}


def write_hdf5(folder) -> None:
    net = folder / "hdf5.prototxt"
    shapes = "shape { dim: 7 dim: 3 dim: 12 dim: 10 } shape { dim: 7 dim: 1 dim: 1 dim: 1 }"
    net.write_text(
        f"layer {{ name: 'a' type: 'DummyData' top: 'a' top: 'b' dummy_data_param {{ {shapes} }} }}"
        "layer { name: 'out' type: 'HDF5Output' bottom: 'a' bottom: 'b' "
        f"hdf5_output_param {{ file_name: '{folder}/records.h5' }} }}"
    )
    caffe.Net(str(net), caffe.TEST).forward()  # the file is complete when the network is gone


@pytest.mark.parametrize(
    ("type_", "settings", "given"),
    [
        ("Data", "data_param { batch_size: 5 backend: LMDB", IMAGE),
        ("Data", "transform_param { crop_size: 8 } data_param { batch_size: 5 backend: LMDB", IMAGE),
        ("Data", "transform_param { crop_size: 8 mean_value: 1 } data_param { batch_size: 2 backend: LMDB", IMAGE),
        (
            "Data",
            "transform_param { crop_size: 8 mean_value: 1 mean_value: 2 mean_value: 3 } "
            "data_param { batch_size: 2 backend: LMDB",
            None,
        ),
        ("ImageData", "image_data_param { batch_size: 3", IMAGE),
        ("ImageData", "image_data_param { new_height: 6 new_width: 9", None),
        ("ImageData", "image_data_param { is_color: false new_height: 6 new_width: 9", None),
        ("ImageData", "transform_param { crop_size: 4 } image_data_param { new_height: 6 new_width: 9", None),
        ("WindowData", "transform_param { crop_size: 4 } window_data_param { batch_size: 2", None),
        ("HDF5Data", "hdf5_data_param { batch_size: 2", IMAGE),
    ],
)
def test_shapes_are_those_of_caffe(type_, settings, given, sources, tmp_path):
    text = f"name: 'data' type: '{type_}' top: 'data' top: 'label' {settings} source: '{sources[type_]}' }}"
    layer = text_format.Parse(text, caffe_pb2.LayerParameter())
    (tmp_path / "net.prototxt").write_text(f"layer {{ {text} }}")
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    data, label = INPUTS[type_](layer, given)
    assert data == net.blobs["data"].data.shape
    assert label == (None if type_ == "HDF5Data" else net.blobs["label"].data.shape)


def test_a_crop_in_the_old_place_is_seen():
    layer = text_format.Parse(
        "type: 'Data' top: 'data' data_param { batch_size: 4 crop_size: 5 }", caffe_pb2.LayerParameter()
    )
    assert INPUTS["Data"](layer, (1, 9, 9))[0] == (4, 1, 5, 5)


@pytest.mark.parametrize(
    "text",
    [
        "input_shape { dim: 4 dim: 3 dim: 9 dim: 8 } input_shape { dim: 4 dim: 2 }",
        "input_dim: 4 input_dim: 3 input_dim: 9 input_dim: 8 input_dim: 4 input_dim: 2 input_dim: 1 input_dim: 1",
    ],
)
def test_inputs_declared_by_the_network_itself(text, tmp_path):
    text = f"input: 'data' input: 'more' {text}"
    proto = text_format.Parse(text, caffe_pb2.NetParameter())
    (layer,) = declared_inputs(proto)
    (tmp_path / "net.prototxt").write_text(text)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    assert INPUTS["Input"](layer, None) == [net.blobs[name].data.shape for name in ("data", "more")]
    assert [row.top for row in count_network(proto).rows] == [(1, 3, 9, 8)]


def test_dummy_data_in_the_old_spelling():
    text = "top: 'a' top: 'b' dummy_data_param { num: 2 num: 1 channels: 3 height: 4 width: 5 width: 6 }"
    layer = text_format.Parse(text, caffe_pb2.LayerParameter(name="data", type="DummyData"))
    assert INPUTS["DummyData"](layer, None) == [(2, 3, 4, 5), (1, 3, 4, 6)]


CONVOLUTION = (
    "layer { name: 'c' type: 'Convolution' bottom: 'data' convolution_param { num_output: 2 kernel_size: 3 } }"
)


@pytest.mark.parametrize(
    "first",
    [
        "layer { name: 'data' type: 'Data' top: 'data' transform_param { crop_size: 8 } }",
        "layer { name: 'data' type: 'ImageData' top: 'data' top: 'label' }",
        "layer { name: 'data' type: 'HDF5Data' top: 'data' hdf5_data_param { batch_size: 6 } }",
        "layer { name: 'data' type: 'MemoryData' top: 'data' top: 'label' }",
        "layer { name: 'data' type: 'Input' top: 'data' }",
        "input: 'data'",
    ],
)
def test_what_the_prototxt_does_not_tell_is_asked_for_in_one_line(first):
    net = text_format.Parse(first + CONVOLUTION, caffe_pb2.NetParameter())
    with pytest.raises(UserError, match="^layer '(data|input)' .*give --input C H W$"):
        count_network(net)
    places = 6 * 6 if "crop" in first else 8 * 7
    assert count_network(net, (3, 10, 9)).multiply_adds == 3 * 9 * 2 * places


def test_given_shapes_must_make_sense():
    net = text_format.Parse("input: 'data'" + CONVOLUTION, caffe_pb2.NetParameter())
    with pytest.raises(UserError, match="an input of shape .3, 0, 9. is empty"):
        count_network(net, (3, 0, 9))
    net.layer.insert(0, text_format.Parse("name: 'd' type: 'DummyData' top: 'a'", caffe_pb2.LayerParameter()))
    with pytest.raises(UserError, match="layer 'd' .DummyData.: 0 shapes for 1 tops"):
        count_network(net, (3, 9, 9))
