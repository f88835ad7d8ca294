"""caffe_acu.torch.ActiveConv2d against Caffe's layer, sums in float64 by definition, and finite differences."""

import copy
import itertools
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: scripts/setup.sh --torch")
from torch import nn  # noqa: E402

from caffe_acu.kernels import extrapolate  # noqa: E402
from caffe_acu.torch import ActiveConv2d, functional  # noqa: E402
from torch_pair import CASES, Case, assert_same, in_caffe, in_torch, output_gradient  # noqa: E402

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
AT_ONCE, ONE_BY_ONE = float("inf"), 0.0  # for the share of a kernel that may be empty


@each_case
def test_output_and_all_gradients_are_those_of_caffes_layer(case, tmp_path):
    module = case.module()
    x = case.input()
    assert_same(in_torch(module, x), in_caffe(module, x, tmp_path), 1e-5)


def by_definition(module, x: np.ndarray) -> dict[str, np.ndarray]:
    """Equations 4 to 6 and 10 to 14, synapse by synapse; neighbours that are outside count as 0."""
    weight, positions = (p.detach().double().numpy() for p in (module.weight, module.positions))
    outputs, per_group, kh, kw = weight.shape
    weight = weight.reshape(outputs, per_group, kh * kw)
    batch, channels, height, width = x.shape
    (above, below), (left, right) = module.geometry.pad
    extent, centre, stride = module.geometry.extent, module.geometry.centre, module.stride
    rows = np.arange((height + above + below - extent[0]) // stride[0] + 1) * stride[0] - above + centre[0]
    columns = np.arange((width + left + right - extent[1]) // stride[1] + 1) * stride[1] - left + centre[1]
    y = np.zeros((batch, outputs, len(rows), len(columns)))
    gy = output_gradient(y.shape).astype(np.float64)
    gx, gw, gp = np.zeros_like(x), np.zeros_like(weight), np.zeros_like(positions)
    for d, i, k in np.ndindex(*weight.shape):
        c = d // (outputs // module.groups) * per_group + i
        s = c * module.position_groups // channels
        alpha, beta = positions[s, k]
        a, b = alpha - np.floor(alpha), beta - np.floor(beta)
        corner = {}
        for down, over in itertools.product((0, 1), (0, 1)):
            r = rows + np.floor(beta) + down
            q = columns + np.floor(alpha) + over
            inside = ((r >= 0) & (r < height))[:, None] & ((q >= 0) & (q < width))
            at = np.ix_(np.clip(r, 0, height - 1).astype(int), np.clip(q, 0, width - 1).astype(int))
            corner[down, over] = x[:, c][:, *at] * inside
            share = (b if down else 1 - b) * (a if over else 1 - a)
            np.add.at(gx[:, c], (slice(None), *at), share * weight[d, i, k] * gy[:, d] * inside)
        sample = (1 - b) * ((1 - a) * corner[0, 0] + a * corner[0, 1])
        sample += b * ((1 - a) * corner[1, 0] + a * corner[1, 1])
        y[:, d] += weight[d, i, k] * sample
        gw[d, i, k] = (gy[:, d] * sample).sum()
        to_right = (1 - b) * (corner[0, 1] - corner[0, 0]) + b * (corner[1, 1] - corner[1, 0])
        downwards = (1 - a) * (corner[1, 0] - corner[0, 0]) + a * (corner[1, 1] - corner[0, 1])
        gp[s, k] += [weight[d, i, k] * (gy[:, d] * slope).sum() for slope in (to_right, downwards)]
    results = {"output": y, "input": gx, "weight": gw.reshape(module.weight.shape), "positions": gp}
    if module.bias is not None:
        y += module.bias.detach().double().numpy()[:, None, None]
        results["bias"] = gy.sum((0, 2, 3))
    return results


@each_case
def test_in_double_precision_it_is_the_definition(case, monkeypatch):
    module, x = case.module(seed=1).double(), case.input(batch=1).double()
    expected = by_definition(module, x.numpy())
    for empty in (AT_ONCE, ONE_BY_ONE):
        monkeypatch.setattr(functional, "_MOSTLY_EMPTY", empty)
        assert_same(in_torch(module, x), expected, 1e-12)


@pytest.mark.parametrize("empty", [AT_ONCE, ONE_BY_ONE])
@pytest.mark.parametrize(
    ("channels", "settings"),
    [(2, {"padding": 1}), (4, {"groups": 2, "position_groups": 4, "stride": 2, "dilation": 2, "padding": (1, 1)})],
)
def test_first_and_second_derivatives_are_finite_differences(channels, settings, empty, monkeypatch):
    monkeypatch.setattr(functional, "_MOSTLY_EMPTY", empty)
    torch.manual_seed(2)
    module = ActiveConv2d(channels, 2, (2, 3), fixed_synapse=-1, dtype=torch.float64, **settings)
    inside = torch.empty_like(module.positions).uniform_(0.1, 0.9)  # of a pixel: derivatives jump between them
    values = [torch.randn(1, channels, 3, 4).double(), *(p.detach().clone() for p in module.parameters())]
    values[-1] += inside
    names = [name for name, _ in module.named_parameters()]

    def function(x, *parameters):
        return torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), (x,))

    for value in values:
        value.requires_grad_()
    assert torch.autograd.gradcheck(function, values)
    assert torch.autograd.gradgradcheck(function, values, fast_mode=True)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")  # PyTorch uses it itself
def test_derivatives_forwards_are_those_backwards_on_whole_pixels_too():
    module, x = ActiveConv2d(2, 2, 3, fixed_synapse=-1, dtype=torch.float64), torch.randn(1, 2, 4, 5).double()
    parameters = {name: value.detach() for name, value in module.named_parameters()}

    def function(positions):
        return torch.func.functional_call(module, parameters | {"positions": positions}, (x,)).square().sum()

    start, way = parameters["positions"], torch.randn_like(parameters["positions"])
    _, forwards = torch.func.jvp(function, (start,), (way,))
    torch.testing.assert_close(forwards, (torch.func.grad(function)(start) * way).sum())


@each_case
def test_a_plain_convolution_has_the_same_outputs_everywhere(case):
    if case.far == (1e6, -30.5):
        with pytest.raises(ValueError, match="a kernel of 63x2000001 pixels"):
            case.module().to_conv2d()
        return
    module, x = case.module().double(), case.input().double()
    plain = module.to_conv2d()
    assert type(plain) is nn.Conv2d and plain.weight.dtype == torch.float64
    torch.testing.assert_close(plain(x), module(x), rtol=0, atol=1e-12)
    weight, (alpha, beta) = (
        module.weight.detach().flatten(2).numpy(),
        np.moveaxis(module.positions.detach().numpy(), -1, 0),
    )
    pad = tuple(before for before, _ in module.geometry.pad)
    kernel = extrapolate(weight, alpha, beta, module.groups)
    kernel = kernel.padded(module.geometry.extent, pad, module.geometry.centre)
    assert plain.padding == kernel.pad
    np.testing.assert_allclose(plain.weight.detach().numpy(), kernel.weight, atol=1e-12)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("kernel", [2, 3, (4, 1)])
@pytest.mark.parametrize("settings", [{"padding": "same"}, {"padding": "same", "dilation": 3}, {"padding": "valid"}])
def test_with_the_weights_of_a_convolution_it_is_that_convolution(kernel, settings):
    """Lemma 1; also which side of an even kernel gets more padding."""
    torch.manual_seed(3)
    plain, active = (kind(4, 6, kernel, groups=2, **settings) for kind in (nn.Conv2d, ActiveConv2d))
    assert active.load_state_dict(plain.state_dict(), strict=False).missing_keys == ["positions"]
    x = torch.randn(2, 4, 12, 11)
    with torch.no_grad():
        expected = plain(x)
        torch.testing.assert_close(active(x), expected)
        torch.testing.assert_close(active.to_conv2d()(x), expected)


def test_without_gradients_whole_pixels_need_no_larger_kernel(monkeypatch):
    sizes = []
    convolve = nn.functional.conv2d
    monkeypatch.setattr(
        nn.functional, "conv2d", lambda x, k, *a, **b: sizes.append(k.shape[2:]) or convolve(x, k, *a, **b)
    )
    module, x = ActiveConv2d(2, 2, 3, padding=1), torch.randn(1, 2, 5, 5)
    module(x)
    with torch.no_grad():
        module(x)
    ActiveConv2d(2, 2, 3, padding=1, learn_positions=False)(x)
    assert sizes == [(4, 4), (3, 3), (3, 3)]


def test_the_fixed_synapse_has_no_gradient():
    module, x = ActiveConv2d(4, 4, 3, position_groups=2), torch.randn(1, 4, 6, 6)
    assert module.fixed.nonzero().tolist() == [[0, 4], [1, 4]]
    free = ActiveConv2d(4, 4, 3, position_groups=2, fixed_synapse=-1)
    free.load_state_dict(module.state_dict())
    with torch.no_grad():
        for layer in (module, free):
            layer.positions[1, 4] = 0.5  # in the second set none is at the origin any more
            layer.positions[1, 7:] = 0.0  # but two others are, of which the first counts
    assert module.fixed.nonzero().tolist() == [[0, 4], [1, 7]]
    assert not free.fixed.any()
    ours, raw = (in_torch(layer, x)["positions"] for layer in (module, free))
    assert raw[0, 4].any() and raw[1, 7].any()
    raw[0, 4] = raw[1, 7] = 0
    np.testing.assert_allclose(ours, raw, atol=1e-6)
    module.fixed_synapse = 2
    assert not in_torch(module, x)["positions"][:, 2].any()


def test_a_start_with_noise_leaves_the_fixed_synapse():
    torch.manual_seed(4)
    module = ActiveConv2d(64, 64, 3, groups=64, position_noise=0.25)
    moved = module.positions.detach() - ActiveConv2d(64, 64, 3, groups=64).positions.detach()
    assert not moved[:, 4].any()
    assert moved[:, module.fixed[0].logical_not()].std().item() == pytest.approx(0.25, rel=0.1)
    before = module.positions.detach().clone()
    module.reset_parameters()
    assert not torch.equal(module.positions, before) and not module.positions[:, 4].any()
    explicit = ActiveConv2d(2, 2, positions=[[0.5, 0], [-1, 2]])
    assert explicit.positions.tolist() == [[[0.5, 0], [-1, 2]]] and not explicit.fixed.any()


def test_copies_pickles_and_states_are_the_same_layer(tmp_path):
    module = Case("", settings={"groups": 2, "warmup_iterations": 5, "normalize_gradient": False}).module()
    x = torch.randn(1, 4, 6, 6)
    torch.save(module.state_dict(), tmp_path / "state.pt")
    other = ActiveConv2d(4, 6, 3, groups=2)
    other.load_state_dict(torch.load(tmp_path / "state.pt"))
    with torch.device("meta"):
        later = ActiveConv2d(4, 6, 3, groups=2)
    later.to_empty(device="cpu").reset_parameters()
    assert torch.equal(later.positions, ActiveConv2d(4, 6, 3, groups=2).positions)
    later.load_state_dict(module.state_dict())
    copies = copy.deepcopy(module), pickle.loads(pickle.dumps(module))
    for same in (other, later, *copies, nn.DataParallel(module)):
        assert torch.equal(same(x), module(x))
    for same in copies:
        assert repr(same) == repr(module)
        assert same.positions.data_ptr() != module.positions.data_ptr()
    assert "groups=2, fixed_synapse=-1, normalize_gradient=False, warmup_iterations=5" in repr(module)


def test_inputs_of_other_layouts_and_without_a_batch():
    module = Case("", settings={"padding": 1, "groups": 2}).module()
    x = torch.randn(2, 4, 6, 7)
    expected = module(x)
    torch.testing.assert_close(module(x[0]), expected[0])
    torch.testing.assert_close(module(x.transpose(2, 3).contiguous().transpose(2, 3)), expected)
    last = module.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, expected)
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert module(x[:0]).shape == (0, 6, 6, 7)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    module, x = Case("", settings={"padding": 1}).module(), torch.randn(2, 4, 6, 7)
    expected = in_torch(module, x)
    with torch.autocast("cpu", dtype=dtype):
        output = module(x)
        assert output.dtype == dtype
        output.backward(torch.from_numpy(output_gradient(tuple(output.shape))).to(dtype))
    assert module.positions.grad.dtype == torch.float32
    tolerance = 8 * torch.finfo(dtype).eps
    actual = {"output": output.detach().float().numpy(), "positions": module.positions.grad.numpy()}
    assert_same(actual, {name: expected[name] for name in actual}, tolerance)
    positions = module.positions.data
    module.to(dtype).positions.data = positions  # as they were: in halves they would be rounded
    assert_same({"output": module(x.to(dtype)).detach().float().numpy()}, {"output": expected["output"]}, tolerance)


def test_kernels_are_made_in_single_precision_whatever_the_rest_is():
    module = Case("", settings={"groups": 2}).module()
    weight, positions, box = module.weight.detach().flatten(2), module.positions.detach(), functional.Box(-2, -2, 2, 2)
    expected = functional.dense_kernel(weight, positions, box, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(functional.dense_kernel(weight, positions, box, 2), expected)
    in_halves = functional.dense_kernel(weight.half(), positions.half(), box, 2)
    rounded = functional.dense_kernel(weight.half().float(), positions.half().float(), box, 2)
    assert torch.equal(in_halves, rounded.half())


def test_what_is_not_a_number_shows():
    module, x = ActiveConv2d(2, 2, 3, padding=1, groups=2), torch.randn(1, 2, 5, 5)
    with torch.no_grad():
        module.positions[1, 3, 0] = float("nan")
    assert module(x).isnan().all(-1).all(-1).tolist() == [[False, True]]
    with pytest.raises(ValueError, match="a position is not finite"):
        module.to_conv2d()


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        ((4, 6), {}, "neither kernel_size nor positions"),
        ((4, 6, 3), {"positions": [[0, 0]]}, "leave out kernel_size"),
        ((4, 6), {"positions": [[0, 0]], "dilation": 2}, "leave out kernel_size and dilation"),
        ((4, 6), {"positions": [0, 0]}, r"positions of shape \(2,\)"),
        ((4, 6), {"positions": [[0, float("inf")]]}, "not finite"),
        ((4, 6), {"positions": [[[0, 0]]] * 2, "position_groups": 4}, "for 2 sets, but position_groups is 4"),
        ((4, 6, 3), {"groups": 4}, "4 groups do not divide both 4 in_channels and 6"),
        ((4, 6, 3), {"groups": 0}, "groups is 0"),
        ((4, 6, 3), {"position_groups": 3}, "3 position_groups do not divide 4"),
        ((4, 6, 3), {"fixed_synapse": 9}, "the synapses are 0 to 8"),
        ((4, 6, 3), {"position_noise": float("nan")}, "position_noise is nan"),
        ((4, 6, 3), {"warmup_iterations": -1}, "warmup_iterations is -1"),
        ((4, 6, 3), {"padding": "circular"}, "'circular'; pixels, 'same' or 'valid'"),
        ((4, 6, 3), {"padding": "same", "stride": 2}, "needs a stride of 1"),
        ((4, 6, 3), {"padding": -1}, "padding is -1"),
        ((4, 6, (3, 3, 3)), {}, r"kernel_size is \(3, 3, 3\)"),
        ((4, 6, 3.0), {}, "kernel_size is 3.0; a whole number"),
        ((4, 6, "3"), {}, "kernel_size is '3'; a whole number"),
        ((4.0, 6, 3), {}, "in_channels is 4.0; a whole number"),
        ((4, 6, 3), {"position_groups": 2.0}, "position_groups is 2.0; a whole number"),
        ((4, 6, 3), {"fixed_synapse": 1.5}, "fixed_synapse is 1.5; the synapses are 0 to 8"),
        ((4, 6, 3), {"warmup_iterations": 1e4}, "warmup_iterations is 10000.0; a whole number"),
    ],
)
def test_arguments_that_do_not_fit(arguments, settings, message):
    with pytest.raises(ValueError, match=message):
        ActiveConv2d(*arguments, **settings)


def test_whole_numbers_may_be_numpys():
    module = ActiveConv2d(np.int64(4), np.int32(6), np.int64(3))
    assert repr(module) == "ActiveConv2d(4, 6, kernel_size=(3, 3), stride=(1, 1))"


@pytest.mark.parametrize("shape", [(2, 5, 8, 8), (8, 8), (1, 2, 4, 8, 8)])
def test_an_input_of_another_shape(shape):
    with pytest.raises(ValueError, match=rf"shape {re.escape(str(shape))}; \(N, 4, H, W\) or \(4, H, W\)"):
        ActiveConv2d(4, 6, 3)(torch.zeros(shape))


def test_an_input_smaller_than_the_kernel():
    with pytest.raises(ValueError, match="an input of 2x9 pixels, with its padding, is smaller than the kernel's 5x3"):
        ActiveConv2d(1, 1, (5, 3), padding=(1, 0))(torch.zeros(1, 1, 2, 9))


def test_without_pytorch_it_says_how_to_get_it():
    code = "import sys; sys.modules['torch'] = None; import caffe_acu; import caffe_acu.torch"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ImportError: caffe_acu.torch needs PyTorch, which is not there: pip install" in result.stderr


def test_nothing_else_imports_pytorch_and_it_needs_no_caffe():
    code = "import sys, {}; assert '{}' not in sys.modules"
    for imported, absent in (("caffe_acu.cli.main", "torch"), ("caffe_acu.torch", "caffe.proto.caffe_pb2")):
        subprocess.run([sys.executable, "-c", code.format(imported, absent)], check=True)
