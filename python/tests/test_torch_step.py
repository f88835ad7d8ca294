"""The step of positions in PyTorch's optimizers: Caffe's solver, closures, scaled gradients, several processes."""

import copy

import caffe
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: scripts/setup.sh --torch")
from torch import nn  # noqa: E402

from caffe_acu.torch import (  # noqa: E402
    ActiveConv2d,
    normalize_position_gradients,
    parameter_groups,
    position_parameters,
    register_position_step,
)
from torch_pair import description, give_values, source  # noqa: E402
from torch_training import (  # noqa: E402
    DECAY,
    MOMENTUM,
    OUTPUTS,
    RATE,
    SHAPE,
    STEPS,
    WARMUP,
    batches,
    loss_of,
    network,
    optimizer_of,
    worker,
)

PASSES = 2  # iter_size


def solver_of(net: nn.Sequential, type_: str, folder) -> "caffe.SGDSolver":
    """Caffe's solver of the same network with the same values."""
    text = source(SHAPE) + source((SHAPE[0], OUTPUTS), "wanted")
    bottom = "data"
    for i, name in ((0, "a0"), (2, "a2"), (4, "a4")):
        text += description(net[i], name, bottom)
        bottom = name
        if i < 4:
            text += f"layer {{ name: 'relu{i}' type: 'ReLU' bottom: '{name}' top: '{name}' }} "
    product = f"inner_product_param {{ num_output: {OUTPUTS} }}"
    text += f"layer {{ name: 'l' type: 'InnerProduct' bottom: 'a4' top: 'l' {product} }} "
    text += "layer { name: 'loss' type: 'EuclideanLoss' bottom: 'l' bottom: 'wanted' top: 'loss' }"
    path = folder / "solver.prototxt"
    path.write_text(
        f"type: '{type_}' base_lr: {RATE} lr_policy: 'fixed' momentum: {MOMENTUM} weight_decay: {DECAY} "
        f"iter_size: {PASSES} max_iter: 100 display: 0 net_param {{ {text} }}"
    )
    solver = caffe.get_solver(str(path))
    for i in (0, 2, 4):
        give_values(solver.net.params[f"a{i}"], net[i])
    for blob, parameter in zip(solver.net.params["l"], net[6].parameters(), strict=True):
        blob.data[...] = parameter.detach()
    return solver


@pytest.mark.parametrize("type_", ["SGD", "Nesterov"])
def test_a_training_is_that_of_caffes_solver(type_, tmp_path):
    net = network()
    solver = solver_of(net, type_, tmp_path)
    start = [layer.positions.detach().clone() for layer in (net[0], net[2], net[4])]
    optimizer = optimizer_of(net, nesterov=type_ == "Nesterov")
    register_position_step(net, optimizer)
    for step, (x, wanted) in enumerate(batches()):
        solver.net.blobs["data"].data[...], solver.net.blobs["wanted"].data[...] = x, wanted
        solver.step(1)
        optimizer.zero_grad()
        for _ in range(PASSES):
            (loss_of(net, x, wanted) / PASSES).backward()
        optimizer.step()
        assert torch.equal(net[0].positions, start[0]) == (step < WARMUP)
    for i in (0, 2, 4):
        weight, bias, x, y = (blob.data for blob in solver.net.params[f"a{i}"])
        np.testing.assert_allclose(net[i].weight.detach(), weight, atol=1e-5)
        np.testing.assert_allclose(net[i].bias.detach(), bias, atol=1e-5)
        positions = np.stack([x, y], -1).reshape(net[i].positions.shape)
        np.testing.assert_allclose(net[i].positions.detach(), positions, atol=2e-5)
    assert max(parameter.abs().max() for parameter in net.parameters()) < 4  # it did not diverge
    for layer, first, still in ((net[0], start[0], 4), (net[2], start[1], 2), (net[4], start[2], 1)):
        moved = (layer.positions.detach() - first).norm(dim=-1)
        assert not moved[:, still].any()
        assert moved.count_nonzero() == moved.numel() - len(moved)


def test_gradients_get_length_1_for_each_synapse_and_set():
    net = nn.Sequential(ActiveConv2d(2, 2, 2, groups=2), ActiveConv2d(2, 2, 2, normalize_gradient=False))
    given = torch.tensor([[[3.0, 4], [0, 0], [-1e-30, 0], [1e30, -1e30]], [[0, 2], [5, 12], [1, 1], [0, -1e-20]]])
    net[0].positions.grad, net[1].positions.grad = given.clone(), given[:1].clone()
    normalize_position_gradients(net)
    half = 0.5**0.5
    expected = [[[0.6, 0.8], [0, 0], [-1, 0], [half, -half]], [[0, 1], [5 / 13, 12 / 13], [half, half], [0, -1]]]
    torch.testing.assert_close(net[0].positions.grad, torch.tensor(expected))
    assert torch.equal(net[1].positions.grad, given[:1])
    normalize_position_gradients(net, scale=8)
    torch.testing.assert_close(net[0].positions.grad, 8 * torch.tensor(expected))


def test_positions_have_a_rate_of_their_own_and_no_decay():
    net = network()
    net[0].positions.requires_grad_(False)
    others, positions = parameter_groups(net, lr=0.5, position_lr_mult=0.1)
    assert (others["lr"], positions["lr"], positions["weight_decay"]) == (0.5, 0.05, 0)
    assert positions["params"] == position_parameters(net) == [net[0].positions, net[2].positions, net[4].positions]
    assert len(others["params"]) == 8 and "weight_decay" not in others
    assert len(parameter_groups(nn.Linear(2, 2), lr=1)) == 1
    net[2] = net[0]  # the same layer twice
    assert position_parameters(net) == [net[0].positions, net[4].positions]


def train(net, optimizer, steps=STEPS, step=lambda optimizer, loss: (loss.backward(), optimizer.step())):
    for x, wanted in batches(steps):
        optimizer.zero_grad()
        step(optimizer, loss_of(net, x, wanted))
    return [parameter.detach().clone() for parameter in net.parameters()]


def trained(**options):
    net = network()
    optimizer = optimizer_of(net, **options)
    register_position_step(net, optimizer)
    return train(net, optimizer)


@pytest.mark.parametrize("as_keyword", [False, True])
def test_gradients_that_a_closure_makes_are_normalized(as_keyword):
    net = network()
    optimizer = optimizer_of(net)
    register_position_step(net, optimizer)

    def step(optimizer, loss):
        def closure():
            loss.backward()
            return loss

        returned = optimizer.step(closure=closure) if as_keyword else optimizer.step(closure)
        assert returned is loss

    assert_equal(train(net, optimizer, step=step), trained())


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("unscale", [False, True])
def test_scaled_gradients_give_the_same_steps(fused, unscale):
    net = network()
    optimizer = optimizer_of(net, fused=fused)
    register_position_step(net, optimizer)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

    def step(optimizer, loss):
        scaler.scale(loss).backward()
        if unscale:
            scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()

    assert_equal(train(net, optimizer, step=step), trained(fused=fused))


def test_an_interrupted_warm_up_goes_on_where_it_was():
    net = network()
    optimizer = optimizer_of(net)
    register_position_step(net, optimizer)
    train(net, optimizer, steps=WARMUP - 1)
    resumed = copy.deepcopy(net)
    later = optimizer_of(resumed)
    later.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    register_position_step(resumed, later)
    start = net[0].positions.detach().clone()
    for trained_net, its_optimizer in ((net, optimizer), (resumed, later)):
        train(trained_net, its_optimizer, steps=1)
        assert torch.equal(trained_net[0].positions, start)
        train(trained_net, its_optimizer, steps=1)
        assert not torch.equal(trained_net[0].positions, start)
    assert_equal(net.parameters(), resumed.parameters())


def test_removed_it_leaves_gradients_alone():
    net = network()
    optimizer = optimizer_of(net)
    register_position_step(net, optimizer).remove()
    plain = network()
    assert_equal(train(net, optimizer), train(plain, optimizer_of(plain)))


def test_no_optimizer_moves_the_synapse_at_the_origin():
    for make in (torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop):
        net = network()
        train(net, make(net.parameters(), lr=0.1, weight_decay=0.1), steps=3)  # not even one that decays positions
        assert not net[0].positions[0, 4].any() and net[0].positions[0, 3].ne(torch.tensor([-1.0, 0])).all()


def test_processes_normalize_the_mean_of_their_gradients(tmp_path):
    torch.multiprocessing.spawn(worker, (str(tmp_path),), nprocs=2)
    net = network()
    optimizer = optimizer_of(net)
    register_position_step(net, optimizer)
    data = list(batches())
    for pair in zip(data[::2], data[1::2], strict=True):
        optimizer.zero_grad()
        (sum(loss_of(net, *batch) for batch in pair) / 2).backward()
        optimizer.step()
    for rank in range(2):
        assert_equal(torch.load(tmp_path / f"{rank}.pt").values(), net.state_dict().values())


def assert_equal(actual, expected) -> None:
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
