"""A network of each family of the papers in ONNX Runtime against pycaffe."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from caffe_acu.cli.main import main
from onnx_nets import differences
from trained_nets import FAMILIES, trained

TOLERANCE = 1e-4


def check(folder, *options):
    with TemporaryDirectory() as where:  # hundreds of megabytes, which pytest would keep
        net, weights = trained(folder, Path(where))
        file = Path(where, "net.onnx")
        assert main(["convert", "onnx", str(net), str(weights), "-o", str(file), *options]) == 0
        found = differences(net, weights, file, batch=3)
    assert {"prob", "data"} & set(found) == {"prob"}
    assert len(found) > 10
    assert max(found.values()) <= TOLERANCE


@pytest.mark.parametrize("folder", FAMILIES)
def test_as_convolutions(folder):
    check(folder)


@pytest.mark.parametrize("folder", [folder for folder in FAMILIES if folder.startswith("grouped/resnet29")])
def test_as_deform_conv(folder):
    check(folder, "--deform-conv")
