"""Positions from everything that has them: pycaffe, files, folders of runs; against raw blobs and known numbers."""

import os
from pathlib import Path

import caffe
import numpy as np
import pytest

import authors_net
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.position_files import movement_in
from caffe_acu.positions import read, read_movement
from position_sources import GROUPS, LAYERS, PROTOTXT, STRIDES, moved, write_npz, write_run, write_snapshot


def assert_moment(layers, iteration: int, start: int = 0, described: bool = True) -> None:
    assert [layer.layer for layer in layers] == [name for name, *_ in LAYERS]
    for i, layer in enumerate(layers):
        for values, expected in ((layer.x, moved(iteration)[i][0]), (layer.y, moved(iteration)[i][1])):
            assert values.dtype == np.float64 and np.array_equal(values, expected)
        shape = layer.x.shape
        assert layer.xy.shape == (*shape, 2) and layer.xy.dtype == np.float64
        for (s, k), x in np.ndenumerate(layer.x):
            assert layer.xy[s, k].tolist() == [x, layer.y[s, k]]
        for values, expected in zip((layer.start_x, layer.start_y), moved(start)[i], strict=True):
            assert np.array_equal(np.broadcast_to(values, shape), expected)
        assert (layer.kernel_size, layer.warmup_iter) == (LAYERS[i][4], 10)
        assert (layer.stride, layer.groups) == ((STRIDES[i], GROUPS[i]) if described else (None, None))


def test_a_caffemodel_and_a_prototxt(tmp_path):
    assert_moment(read(write_snapshot(tmp_path / "net.caffemodel", 300)), 300)
    (tmp_path / "net.prototxt").write_text(PROTOTXT)
    assert_moment(read(str(tmp_path / "net.prototxt")), 0)


def test_a_pycaffe_net(tmp_path):
    (tmp_path / "net.prototxt").write_text(PROTOTXT)
    weights = write_snapshot(tmp_path / "net.caffemodel", 300)
    net = caffe.Net(str(tmp_path / "net.prototxt"), str(weights), caffe.TEST)
    assert_moment(read(net), 300)
    net.params["deep"][2].data[2, 0, 0, 4] = 7.5  # as it is now, not as it was loaded
    deep = read(net)[1]
    assert deep.x[2, 4] == 7.5
    for blob, values in zip(net.params["deep"][2:], (deep.x, deep.y), strict=True):
        assert np.array_equal(blob.data.reshape(4, 5), values)


def test_a_pycaffe_net_in_the_authors_dialect(tmp_path):
    (tmp_path / "net.prototxt").write_text(authors_net.PROTOTXT)
    authors_net.write_caffemodel(tmp_path / "net.caffemodel")
    net = caffe.Net(str(tmp_path / "net.prototxt"), str(tmp_path / "net.caffemodel"), caffe.TEST)
    for layer, (name, _, _, stride), (_, x, y) in zip(
        read(net), authors_net.LAYERS, authors_net.weights(), strict=True
    ):
        assert (layer.layer, layer.type, layer.stride, layer.groups) == (name, "AConvFast", (stride, stride), 1)
        assert np.array_equal(layer.xy[0], np.stack([x, y], axis=1).astype(np.float32))


def test_published_weights_against_their_raw_blobs(shared):
    path = shared / "golden" / "plain_iter_10000.caffemodel"
    raw = caffe_pb2.NetParameter.FromString(path.read_bytes())
    blobs = {layer.name: layer.blobs for layer in raw.layer if layer.type == "AConvFast"}
    layers = read(path)
    assert [layer.layer for layer in layers] == list(blobs)
    for layer in layers:
        for axis, index in ((0, 2), (1, 3)):
            assert layer.xy[0, :, axis].tolist() == list(blobs[layer.layer][index].data)
    assert [layer.stride for layer in layers] == [(n, n) for n in (1, 1, 1, 2, 1, 2, 1)]


def test_snapshots_as_a_list_their_folder_and_the_folder_of_a_run(tmp_path):
    run = write_run(tmp_path / "run")
    for source in (run, run / "snapshots", sorted((run / "snapshots").iterdir(), reverse=True)):
        assert_moment(read(source), 200)
        assert_moment(read(source, iteration=100), 100)
        series = read_movement(source)
        assert [(layer.layer, layer.iterations.tolist()) for layer in series] == [
            (name, [0, 100, 200]) for name, *_ in LAYERS
        ]
        assert_moment([layer.last for layer in series], 200)
        assert_moment([layer.at(100) for layer in series], 100)
    assert_moment(read([run / "snapshots" / "run_iter_100.caffemodel"]), 100)


def test_an_npz_tells_what_it_can_and_the_folder_of_its_run_the_rest(tmp_path):
    file = write_npz(tmp_path / "run" / "positions.npz", (50, 100, 200))
    log = file.with_name("positions.log")
    log.write_text("not read: it is older")
    for newer in (file, log):
        os.utime(log, (int(newer is log), int(newer is log)))
        os.utime(file, (int(newer is file), int(newer is file)))
        assert movement_in(file.parent) == newer
    log.unlink()
    assert_moment(read(file), 200, start=50, described=False)
    assert_moment(read(tmp_path / "run"), 200, start=50, described=False)
    (tmp_path / "run" / "deploy.prototxt").write_text(PROTOTXT)
    assert_moment(read(tmp_path / "run"), 200, start=50)
    assert_moment(read(tmp_path / "run", iteration=100), 100, start=50)
    assert_moment(read(file, net=tmp_path / "run" / "deploy.prototxt"), 200, start=50)
    series = read_movement(tmp_path / "run")
    assert [(layer.stride, layer.groups) for layer in series] == list(zip(STRIDES, GROUPS, strict=True))
    assert series[1].xy.shape == (3, 4, 5, 2)
    assert series[1].xy[2, 3, 4].tolist() == [moved(200)[1][0][3, 4], moved(200)[1][1][3, 4]]


def refused(words: str, function, *arguments, **options) -> None:
    with pytest.raises(UserError, match=words) as caught:
        function(*arguments, **options)
    assert "\n" not in str(caught.value)


def test_what_has_no_positions(tmp_path):
    plain = tmp_path / "plain.prototxt"
    plain.write_text(PROTOTXT.replace('"ACU"', '"Convolution"').replace('"GroupedACU"', '"Convolution"'))
    refused(r"plain\.prototxt: no layer of type ACU", read, plain)
    refused("pycaffe net: no layer of type ACU", read, caffe.Net(str(plain), caffe.TEST))
    refused(r"cannot be read: No such file", read, tmp_path / "absent.caffemodel")
    (tmp_path / "a.solverstate").write_bytes(caffe_pb2.SolverState(iter=5, learned_net="a").SerializeToString())
    refused(r"a\.solverstate: a solverstate", read, tmp_path / "a.solverstate")
    (tmp_path / "a.npz").write_bytes(b"PK")
    refused(r"a\.npz: not an npz of positions", read, tmp_path / "a.npz")
    (tmp_path / "empty").mkdir()
    refused(r"empty: neither positions\.npz nor positions\.log nor snapshots", read, tmp_path / "empty")
    refused("no snapshots given", read, [])


def test_what_does_not_belong_together(tmp_path):
    snapshots = write_run(tmp_path / "run") / "snapshots"
    other = write_snapshot(snapshots / "other_iter_300.caffemodel", 300)
    for function in (read, read_movement):
        refused(r"_iter_.*: not a snapshot of the run of .*_iter_", function, snapshots)
    other.unlink()
    other = write_snapshot(tmp_path / "run_iter_300.caffemodel", 300)
    refused("not a snapshot of the run of", read, [snapshots / "run_iter_0.caffemodel", other])
    net = tmp_path / "net.prototxt"
    net.write_text(PROTOTXT.replace("group: 4", "group: 2"))
    of_deep = r"net\.prototxt: no ACU layer 'deep' of 4 set\(s\) and 5 synapses in it, as in "
    refused(of_deep + ".*run_iter_300", read, other, net)
    net.write_text(PROTOTXT.replace('"deep"', '"deeper"'))
    refused(of_deep, read_movement, write_npz(tmp_path / "p.npz"), net)


def test_moments_that_are_not_there(tmp_path):
    run = write_run(tmp_path / "run")
    refused(r"no snapshot of iteration 150; there are 0, 100, 200", read, run, iteration=150)
    npz = write_npz(tmp_path / "p.npz")
    refused(r"p\.npz: no positions of iteration 150; there are those of 100 and 200", read, npz, iteration=150)
    refused(r"there are those of 200", read, npz, iteration=1000)
    refused("holds one moment", read, run / "train_val.prototxt", iteration=1)
    refused("iteration is unknown", read_movement, run / "train_val.prototxt")
    refused("one moment", read_movement, caffe.Net(str(run / "train_val.prototxt"), caffe.TEST))


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_positions_of_a_training_that_diverged(tmp_path, poison):
    snapshots = write_run(tmp_path / "run") / "snapshots"
    write_snapshot(snapshots / "run_iter_300.caffemodel", 300, poison)
    refused(r"run_iter_300\.caffemodel: layer 'deep': synapse 3 of set 1 is nowhere", read, snapshots)
    refused(r"snapshots: layer 'deep': synapse 3 of set 1 .* from iteration 300 on", read_movement, snapshots)
    assert_moment(read(snapshots, iteration=200), 200)


def test_nothing_is_left_open_or_written(tmp_path):
    (tmp_path / "net.prototxt").write_text(PROTOTXT)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    before = len(list(Path("/proc/self/fd").iterdir()))
    read(net)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert [path.name for path in tmp_path.iterdir()] == ["net.prototxt"]
