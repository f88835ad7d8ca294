"""`import caffe` in the environment that the set-up makes."""

import subprocess
import sys

import numpy as np

from caffe_acu.caffe_proto import caffe_pb2

HEAVY = ("skimage", "pandas", "scipy", "matplotlib")


def test_import_drags_nothing_heavy_in():
    code = f"import sys, caffe; print([name for name in {HEAVY} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_messages_are_the_same_whichever_way_they_are_imported():
    code = (
        "import sys; from caffe_acu.caffe_proto import caffe_pb2 as ours; assert 'caffe' not in sys.modules; "
        "import caffe.proto.caffe_pb2 as theirs; assert ours is theirs"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_after_ours_pycaffe_is_whole():
    """A module of a package is its attribute, too, whoever loaded it."""
    code = (
        "import caffe_acu.net_spec as ours, caffe; assert caffe.net_spec.NetSpec is ours.NetSpec; "
        "assert caffe.proto.caffe_pb2 is caffe.net_spec.caffe_pb2 and caffe.proto.caffe_pb2.TEST == caffe.TEST"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_our_layers_are_known():
    import caffe

    assert {"ACU", "AConvFast", "Python", "Convolution"} <= set(caffe.layer_type_list())


def test_net_spec_writes_our_parameters():
    import caffe

    spec = caffe.NetSpec()
    spec.data = caffe.layers.Input(input_param={"shape": {"dim": [1, 2, 5, 5]}})
    spec.acu = caffe.layers.ACU(
        spec.data, convolution_param={"num_output": 3, "pad": 1}, acu_param={"position": [{"x": 1}, {"y": -0.5}]}
    )
    layer = spec.to_proto().layer[1]
    assert layer.acu_param == caffe_pb2.ACUParameter(
        position=[caffe_pb2.ACUPosition(x=1), caffe_pb2.ACUPosition(y=-0.5)]
    )


def test_datum_arrays_go_there_and_back():
    import caffe

    for array in (np.arange(24, dtype=np.uint8), np.linspace(0, 1, 24)):
        datum = caffe.io.array_to_datum(array.reshape(2, 3, 4), label=5)
        assert np.allclose(caffe.io.datum_to_array(datum), array.reshape(2, 3, 4))
