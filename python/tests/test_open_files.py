"""A file that was being read when a mistake was found is closed: a session goes on for days, and has 1,024 of them."""

import os
from pathlib import Path

import caffe
import pytest

NET = """
layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 2 dim: 5 }} }} }}
layer {{ name: "ip" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param {{ num_output: {outputs} weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "y" top: "loss" }}
"""
SOLVER = """net: "{net}" base_lr: 0.1 lr_policy: "fixed" max_iter: 9 display: 0
snapshot_prefix: "{prefix}" snapshot_format: HDF5
"""
HDF5_DATA = 'layer { name: "d" type: "HDF5Data" top: "nothing" hdf5_data_param { source: "LIST" batch_size: 1 } }'


class Files:
    """Two networks that differ in a shape, with their solvers and snapshots as HDF5."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, outputs in (("right", 3), ("wrong", 4)):
            net = self.write(f"{name}.prototxt", NET.format(outputs=outputs))
            self.write(f"{name}_solver.prototxt", SOLVER.format(net=net, prefix=folder / name))
            self.solver(name).snapshot()

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def net(self, name: str = "right.prototxt"):
        return caffe.Net(self.path(name), caffe.TEST)

    def solver(self, name: str):
        return caffe.get_solver(self.path(f"{name}_solver.prototxt"))

    def hdf5_data(self, file: str):
        self.write("list", self.path(file))
        return caffe.Net(self.write("data.prototxt", HDF5_DATA.replace("LIST", self.path("list"))), caffe.TEST)


MISTAKES = {
    "a typo": lambda f: caffe.Net(f.write("typo.prototxt", "layer { nmae: 'x' }"), caffe.TEST),
    "an LMDB that is not there": lambda f: caffe.Net(
        f.write("lmdb.prototxt", 'layer { type: "Data" top: "x" data_param { source: "no" backend: LMDB } }'),
        caffe.TEST,
    ),
    "weights of another shape": lambda f: f.net().load_hdf5(f.path("wrong_iter_0.caffemodel.h5")),
    "weights that are no HDF5": lambda f: f.net().load_hdf5(f.path("right.prototxt")),
    "a solverstate as weights": lambda f: f.net().load_hdf5(f.path("right_iter_0.solverstate.h5")),
    "a solverstate of another net": lambda f: f.solver("right").restore(f.path("wrong_iter_0.solverstate.h5")),
    "weights as a solverstate": lambda f: f.solver("right").restore(f.path("right_iter_0.caffemodel.h5")),
    "data without the blob": lambda f: f.hdf5_data("right_iter_0.caffemodel.h5"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return Files(tmp_path_factory.mktemp("files"))


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistakes_leave_no_file_open(files, kind):
    def open_files() -> set[str]:
        """What they are called, by their numbers."""
        found = Path("/proc/self/fd").iterdir()
        return {f"{fd.name} {os.readlink(fd)}" for fd in found if fd.is_symlink()}

    before = open_files()
    with pytest.raises(caffe.Error):
        MISTAKES[kind](files)
    assert {name for name in open_files() - before if str(files.folder) in name} == set()
