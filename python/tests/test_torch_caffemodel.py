"""Layers of caffemodels in PyTorch, and back."""

import re

import caffe
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: scripts/setup.sh --torch")
from torch import nn  # noqa: E402

from caffe_acu.caffe_proto import caffe_pb2  # noqa: E402
from caffe_acu.errors import UserError  # noqa: E402
from caffe_acu.inspection.receptive_field import NotFollowed  # noqa: E402
from caffe_acu.inspection.statistics import statistics  # noqa: E402
from caffe_acu.net_param import read_net  # noqa: E402
from caffe_acu.positions import read_positions  # noqa: E402
from caffe_acu.torch import ActiveConv2d  # noqa: E402
from caffe_acu.torch.caffemodel import from_caffe, load_caffemodel, save_caffemodel  # noqa: E402
from torch_pair import CASES, Case, caffe_net, source  # noqa: E402

each_case = pytest.mark.parametrize(
    "case", [case for case in CASES if case.far != (1e6, -30.5)], ids=lambda case: case.name
)


def active_net(folder, layer: str, channels: int = 4) -> caffe.Net:
    """A net of the layer "a", given as type and parameters, with random values."""
    path = folder / "net.prototxt"
    path.write_text(source((2, channels, 9, 8)) + f"layer {{ name: 'a' bottom: 'data' top: 'a' {layer} }}")
    net = caffe.Net(str(path), caffe.TEST)
    rng = np.random.default_rng(1)
    for blob in net.params["a"]:
        blob.data[...] += rng.normal(0, 0.5, blob.data.shape)
    net.blobs["data"].data[...] = rng.normal(size=net.blobs["data"].data.shape)
    return net


@each_case
def test_a_layer_that_caffe_has_saved_is_the_same(case, tmp_path):
    x = case.input()
    net = caffe_net(case.module(), x, tmp_path)
    net.save(str(tmp_path / "net.caffemodel"))
    module = from_caffe(tmp_path / "net.caffemodel", "a")
    expected = net.forward()["a"]
    np.testing.assert_allclose(module(x).detach(), expected, atol=1e-5 * np.abs(expected).max())
    assert repr(module) == repr(case.module())


SETTINGS = "convolution_param { num_output: 6 kernel_size: 3 pad: 1 }"


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (f"type: 'ACU' {SETTINGS}", (None, True, True, 0)),
        (f"type: 'ACU' {SETTINGS} acu_param {{ fixed_synapse: 2 learn_positions: false }}", (2, False, True, 0)),
        (f"type: 'ACU' {SETTINGS} acu_param {{ normalize_gradient: false warmup_iter: 7 }}", (None, True, False, 7)),
        (f"type: 'AConvFast' {SETTINGS}", (0, True, False, 0)),
        (f"type: 'AConvFast' {SETTINGS} aconv_param {{ type: CIRCLE pad: 2 normalize: true }}", (0, True, True, 0)),
    ],
)
def test_how_positions_learn_is_read_as_well(layer, expected, tmp_path):
    net = active_net(tmp_path, layer)
    net.save(str(tmp_path / "net.caffemodel"))
    module = from_caffe(tmp_path / "net.caffemodel", "a", dtype=torch.float64)
    rules = module.fixed_synapse, module.learn_positions, module.normalize_gradient, module.warmup_iterations
    assert rules == expected
    assert module.positions.requires_grad == module.learn_positions
    output = module(torch.from_numpy(net.blobs["data"].data).double())
    np.testing.assert_allclose(output.detach(), net.forward()["a"], atol=1e-4)


def test_the_authors_trained_layer(shared):
    """Of the network that they published, in their dialect."""
    path = shared / "golden" / "plain_iter_10000.caffemodel"
    layers = read_positions(path)
    assert len(layers) == 7
    for positions in layers:
        module = from_caffe(path, positions.layer)
        assert (module.fixed_synapse, module.normalize_gradient) == (0, True)
        np.testing.assert_array_equal(module.positions.detach().numpy(), positions.xy.astype(np.float32))


@each_case
def test_what_is_written_is_read_again(case, tmp_path):
    module = nn.Sequential(nn.ReLU(), case.module())
    save_caffemodel(tmp_path / "net.caffemodel", module)
    again = from_caffe(tmp_path / "net.caffemodel", "1")
    assert repr(again) == repr(module[1])
    for name, value in module[1].state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
    (positions,) = read_positions(tmp_path / "net.caffemodel")
    assert positions.layer == "1"
    np.testing.assert_array_equal(positions.xy, module[1].positions.detach().double().numpy())


def test_caffe_takes_what_is_written(tmp_path):
    case = Case("", settings={"groups": 2, "padding": 1})
    x = case.input()
    net = caffe_net(case.module(), x, tmp_path)
    trained = case.module(seed=9)
    save_caffemodel(tmp_path / "net.caffemodel", nn.ModuleDict({"a": trained}))
    net.copy_from(str(tmp_path / "net.caffemodel"))
    np.testing.assert_allclose(net.forward()["a"], trained(x).detach(), atol=1e-5)


def test_every_setting_survives_and_doubles_stay_doubles(tmp_path):
    module = ActiveConv2d(
        4, 6, 2, (1, 2), "valid", 3, 2, False, position_groups=4, position_noise=0.5, fixed_synapse=3,
        learn_positions=False, normalize_gradient=False, warmup_iterations=9, dtype=torch.float64,
    )  # fmt: skip
    save_caffemodel(tmp_path / "a.caffemodel", module)
    again = from_caffe(tmp_path / "a.caffemodel", "layer", dtype=torch.float64)
    assert torch.equal(again.positions, module.positions) and torch.equal(again.weight, module.weight)
    assert repr(again) == repr(module).replace("padding='valid', ", "")
    assert "position_noise=0.5, fixed_synapse=3, learn_positions=False, normalize_gradient=False" in repr(again)


def test_a_module_takes_the_values_of_its_counterpart(tmp_path):
    case = Case("", settings={"groups": 2, "padding": 1})
    save_caffemodel(tmp_path / "a.caffemodel", case.module())
    module = ActiveConv2d(4, 6, 3, groups=2, padding="same", dtype=torch.float64)
    load_caffemodel(module, tmp_path / "a.caffemodel", "layer")
    x = case.input()
    torch.testing.assert_close(module(x.double()).float(), case.module()(x))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (ActiveConv2d(4, 5, 3), "out_channels 6; the module has 5"),
        (ActiveConv2d(4, 6, 3, groups=2, padding=1, stride=2), r"stride \(1, 1\); the module has \(2, 2\)"),
        (ActiveConv2d(4, 6, 3, groups=2), r"padding \(\(1, 1\), \(1, 1\)\); the module has \(\(0, 0\)"),
        (ActiveConv2d(4, 6, 3, groups=2, padding=1, position_groups=1), "position_groups 2; the module has 1"),
        (ActiveConv2d(4, 6, 3, groups=2, padding=1, bias=False), "bias True; the module has False"),
    ],
)
def test_another_layers_values_are_refused(module, message, tmp_path):
    save_caffemodel(tmp_path / "a.caffemodel", Case("", settings={"groups": 2, "padding": 1}).module())
    with pytest.raises(UserError, match=f"a.caffemodel: layer 'layer': {message}"):
        load_caffemodel(module, tmp_path / "a.caffemodel", "layer")


def broken(change, folder):
    """A caffemodel of a layer, of which ``change`` has spoilt the message."""
    path = folder / "a.caffemodel"
    save_caffemodel(path, Case("", settings={"groups": 2}).module())
    net = read_net(path)
    change(net.layer[0])
    path.write_bytes(net.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layer: layer.ClearField("blobs"), "no active convolution 'layer' with weights; there are none"),
        (lambda layer: setattr(layer, "name", "b"), "no active convolution 'layer' with weights; there are b"),
        (lambda layer: layer.blobs.pop(), r"'layer' \(GroupedACU\): 3 blobs; weight, bias, x and y make 4"),
        (lambda layer: setattr(layer.convolution_param, "num_output", 4), r"blob 0 has shape \(6, 2, 3, 3\), not"),
        (lambda layer: setattr(layer.acu_param, "position_group", 4), "blob 2 has shape"),
        (lambda layer: setattr(layer.convolution_param, "group", 4), "4 groups do not divide both 8"),
        (lambda layer: layer.blobs[0].data.__setitem__(3, float("nan")), "weights that are not finite"),
        (lambda layer: layer.blobs[3].data.__setitem__(3, float("inf")), "synapse 3 of set 0 is at"),
        (lambda layer: layer.blobs[0].data.pop(), "the file is damaged"),
    ],
)
def test_a_file_that_is_no_such_layer_is_refused_by_name(change, message, tmp_path):
    path = broken(change, tmp_path)
    with pytest.raises(UserError, match=f"^{re.escape(str(path))}: .*({message})"):
        from_caffe(path, "layer")


def test_sets_that_divide_outputs_are_refused(tmp_path):
    net = active_net(tmp_path, f"type: 'AConvFast' {SETTINGS} aconv_param {{ position_group: 2 }}")
    net.save(str(tmp_path / "net.caffemodel"))
    with pytest.raises(UserError, match=r"layer 'a' \(AConvFast\): its 2 position sets divide the outputs"):
        from_caffe(tmp_path / "net.caffemodel", "a")


def test_what_caffe_cannot_say_is_not_written(tmp_path):
    path = tmp_path / "a.caffemodel"
    for module, message in (
        (nn.ReLU(), "no ActiveConv2d in the module"),
        (ActiveConv2d(1, 1, 2, padding="same"), "padding 'same' of an even kernel is not the same on both sides"),
    ):
        with pytest.raises(UserError, match=f"a.caffemodel: .*{message}"):
            save_caffemodel(path, module)
        assert not path.exists()


def test_a_file_that_is_not_there(tmp_path):
    path = tmp_path / "none.caffemodel"
    with pytest.raises(UserError, match=f"^{re.escape(str(path))}: cannot be read"):
        from_caffe(path, "a")
    (tmp_path / "net.prototxt").write_text(str(caffe_pb2.NetParameter(layer=[caffe_pb2.LayerParameter(name="a")])))
    with pytest.raises(UserError, match="there are none; a caffemodel has them"):
        from_caffe(tmp_path / "net.prototxt", "a")


def test_its_positions_are_measured_without_a_network(tmp_path):
    path = tmp_path / "a.caffemodel"
    save_caffemodel(path, nn.Sequential(ActiveConv2d(3, 4, 3), ActiveConv2d(4, 4, 3, groups=2)))
    first, second = statistics(path)
    assert (first.layer, second.layer) == ("0", "1") and second.mean_displacement == 0
    assert isinstance(first.reach, NotFollowed)
