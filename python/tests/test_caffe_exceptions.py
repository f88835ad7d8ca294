"""import caffe survives what used to end the process: each mistake is an exception, and the next call works."""

import caffe
import numpy as np
import pytest

from caffe_mistakes import MISTAKES, Workplace


def outputs(net) -> np.ndarray:
    net.blobs["data"].data[...] = np.random.default_rng(5).normal(size=net.blobs["data"].data.shape)
    return net.forward()["acu"].copy()


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    return Workplace(tmp_path_factory.mktemp("mistakes"))


def test_there_are_more_than_ninety_kinds():
    assert len(MISTAKES) > 90


# All in one interpreter, one after the other.
@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_an_exception(workplace, kind):
    act, expected, layer_name = MISTAKES[kind]
    reference = caffe.Net(workplace.net(), caffe.TEST, weights=workplace.weights)
    before = outputs(reference)
    with pytest.raises(RuntimeError, match=expected or ".") as caught:
        act(workplace)
    assert "\n" not in str(caught.value).strip()
    if isinstance(caught.value, caffe.Error):
        assert caught.value.message in str(caught.value)
        assert caught.value.file.endswith((".cpp", ".hpp", ".cu")) and caught.value.line > 0
        if layer_name is not None:
            assert caught.value.layer == layer_name
            assert layer_name in str(caught.value)
    # The one that was there goes on, and another can be made.
    np.testing.assert_array_equal(outputs(reference), before)
    again = caffe.Net(workplace.net(), caffe.TEST, weights=workplace.weights)
    np.testing.assert_array_equal(outputs(again), before)
