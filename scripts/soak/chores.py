"""What the soak does, again and again: each chore leaves behind what it found, but for the training's progress."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
from workplace import MOST_BATCH, MOST_SIDE, Workplace

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.net_param import set_blob
from caffe_acu.quiet_caffe import import_caffe

caffe = import_caffe()

_RESTART_AFTER = 400  # iterations, so that neither files nor the log of positions get long


class Training:
    """A solver that lives long; images differ in size, so that its net is reshaped in every iteration."""

    def __init__(self, workplace: Workplace) -> None:
        self.workplace = workplace
        self._begin()

    def _begin(self) -> None:
        self.workplace.keep_states(0)
        self.solver = caffe.get_solver(self.workplace.solver)

    def go_on(self, draw: random.Random) -> None:
        if self.solver.iter >= _RESTART_AFTER:
            self._begin()
        self.solver.step(draw.randint(5, 20))
        self.workplace.keep_states(2)

    def snapshot_and_restore(self, draw: random.Random) -> None:
        """Into the same solver or a new one, from the snapshot just written or the one before."""
        self.solver.snapshot()
        if draw.random() < 0.5:
            self.solver = caffe.get_solver(self.workplace.solver)
        self.solver.restore(str(draw.choice(self.workplace.states()[-2:])))


def reshape(workplace: Workplace, net, draw: random.Random) -> None:
    """``net`` of inputs, forward and backward at random sizes."""
    for _ in range(4):
        batch, height, width = draw.randint(1, MOST_BATCH), draw.randint(8, MOST_SIDE), draw.randint(8, MOST_SIDE)
        net.blobs["data"].reshape(batch, 3, height, width)
        net.blobs["label"].reshape(batch)
        net.reshape()
        net.blobs["data"].data[...] = 1
        net.forward()
        net.backward()


def come_and_go(workplace: Workplace, draw: random.Random) -> None:
    """Nets end while they prefetch."""
    for order in ("", "shuffle: true"):
        path = workplace.write_net("come.prototxt", workplace.data("images", **workplace.fixed_size, order=order))
        net = caffe.Net(path, draw.choice((caffe.TRAIN, caffe.TEST)))
        for _ in range(draw.randint(0, 3)):
            net.forward()


def weights_to_files_and_back(workplace: Workplace, draw: random.Random) -> None:
    net = caffe.Net(workplace.net_of_input, caffe.TEST)
    net.save(str(workplace.folder / "weights.caffemodel"))
    net.copy_from(str(workplace.folder / "weights.caffemodel"))
    net.save_hdf5(str(workplace.folder / "weights.h5"))
    net.load_hdf5(str(workplace.folder / "weights.h5"))


def _layer(type_: str, parameters: str = "") -> str:
    return f'layer {{ name: "more" type: "{type_}" bottom: "data" top: "more" {parameters} }}\n'


def _with(workplace: Workplace, more: str):
    return caffe.Net(workplace.write("wrong.prototxt", Path(workplace.net_of_input).read_text() + more), caffe.TEST)


def _with_weights(workplace: Workplace, change: Callable) -> None:
    net = caffe.Net(workplace.net_of_input, caffe.TEST)
    good = str(workplace.folder / "good.caffemodel")
    net.save(good)
    net.copy_from(workplace.write("wrong.caffemodel", change(Path(good).read_bytes())))


def _other_shape(content: bytes) -> bytes:
    weights = caffe_pb2.NetParameter.FromString(content)
    (conv,) = (layer for layer in weights.layer if layer.name == "conv")
    set_blob(conv.blobs[0], np.zeros((8, 3, 5, 5), np.float32))
    return weights.SerializeToString()


def _hdf5_of_another_net(workplace: Workplace) -> None:
    text = Path(workplace.net_of_input).read_text().replace("num_output: 3", "num_output: 4")
    path = str(workplace.folder / "wrong.h5")
    caffe.Net(workplace.write("wrong.prototxt", text), caffe.TEST).save_hdf5(path)
    caffe.Net(workplace.net_of_input, caffe.TEST).load_hdf5(path)


def _damaged_record(workplace: Workplace) -> None:
    path = workplace.write_net("damaged.prototxt", workplace.data("damaged", **workplace.fixed_size))
    net = caffe.Net(path, caffe.TEST)
    for _ in range(3):
        net.forward()


MISTAKES = {
    "a field that is not there": lambda w: _with(w, _layer("ReLU", "relu_parm { }")),
    "a layer type that is not there": lambda w: _with(w, _layer("RelU")),
    "a brace that is not closed": lambda w: _with(w, "layer {"),
    "a kernel larger than the image": lambda w: _with(
        w, _layer("Convolution", "convolution_param { num_output: 2 kernel_size: 90 }")
    ),
    "an ACU with groups": lambda w: _with(
        w, _layer("ACU", "convolution_param { num_output: 3 kernel_size: 3 group: 3 }")
    ),
    "an LMDB that is not there": lambda w: _with(
        w, 'layer { name: "d" type: "Data" top: "d" data_param { source: "nowhere" backend: LMDB batch_size: 1 } }'
    ),
    "weights that are cut off": lambda w: _with_weights(w, lambda content: content[:-9]),
    "weights of another shape": lambda w: _with_weights(w, _other_shape),
    "HDF5 weights of another shape": _hdf5_of_another_net,
    "a damaged record": _damaged_record,
    "a solver with an unknown policy": lambda w: caffe.get_solver(
        w.write("wrong_solver.prototxt", Path(w.solver).read_text().replace('"fixed"', '"fixde"'))
    ).step(1),
    "a solver without a net": lambda w: caffe.get_solver(w.write("empty_solver.prototxt", "max_iter: 3")),
    "a solverstate that is damaged": lambda w: caffe.get_solver(w.solver).restore(
        w.write("wrong.solverstate", b"\xff\xff\xff")
    ),
}


def mistake(workplace: Workplace, draw: random.Random) -> None:
    """AssertionError if the mistake passes."""
    kind = draw.choice(list(MISTAKES))
    try:
        MISTAKES[kind](workplace)
    except caffe.Error:
        return
    raise AssertionError(f"{kind}: no error")


Chore = Callable[[random.Random], None]


def all_chores(workplace: Workplace) -> dict[str, Chore]:
    training = Training(workplace)
    net = caffe.Net(workplace.net_of_input, caffe.TRAIN)
    return {
        "training, with tests and snapshots": training.go_on,
        "snapshot and restore": training.snapshot_and_restore,
        "reshapes": lambda draw: reshape(workplace, net, draw),
        "nets that come and go": lambda draw: come_and_go(workplace, draw),
        "weights to files and back": lambda draw: weights_to_files_and_back(workplace, draw),
        "a mistake": lambda draw: mistake(workplace, draw),
    }
