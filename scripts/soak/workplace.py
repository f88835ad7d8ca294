"""The files that the soak works with: LMDBs, nets, solvers."""

from pathlib import Path

import lmdb
import numpy as np

from caffe_acu.caffe_proto import caffe_pb2

MOST_BATCH, MOST_SIDE = 8, 40

_DATA = """layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: {phase} }}
  transform_param {{ mirror: true scale: 0.01 {crop} }}
  data_param {{ source: "{source}" batch_size: {batch} backend: LMDB {order} }} }}
"""
_BODY = """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "acu" type: "ACU" bottom: "conv" top: "acu"
  param { } param { } param { lr_mult: 0.01 decay_mult: 0 } param { lr_mult: 0.01 decay_mult: 0 }
  convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "msra" } }
  acu_param { warmup_iter: 20 } }
layer { name: "pool" type: "Pooling" bottom: "acu" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "depthwise" type: "Convolution" bottom: "pool" top: "depthwise"
  convolution_param { num_output: 8 group: 8 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "grouped" type: "GroupedACU" bottom: "depthwise" top: "grouped"
  param { } param { } param { lr_mult: 0.01 decay_mult: 0 } param { lr_mult: 0.01 decay_mult: 0 }
  convolution_param { num_output: 8 group: 4 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "drop" type: "Dropout" bottom: "grouped" top: "grouped" dropout_param { dropout_ratio: 0.2 } }
layer { name: "mean" type: "Pooling" bottom: "grouped" top: "mean" pooling_param { pool: AVE global_pooling: true } }
layer { name: "score" type: "InnerProduct" bottom: "mean" top: "score"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
"""
_LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }\n'
_INPUT = 'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}\n'
_SOLVER = """net: "{net}" base_lr: 0.002 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.001 iter_size: 2
max_iter: 1000000000 snapshot: 10 snapshot_prefix: "{folder}/run" display: 0 test_iter: 3 test_interval: 15
random_seed: 3 position_log: "{folder}/positions.log" position_interval: 5 {more}
"""


class Workplace:
    """A folder with everything that the chores read and write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        draw = np.random.default_rng(1)
        self._write_lmdb("images", [(MOST_SIDE, MOST_SIDE)] * 40, draw)
        self._write_lmdb("sizes", [tuple(draw.integers(8, MOST_SIDE + 1, 2)) for _ in range(40)], draw)
        self._write_lmdb("damaged", [(MOST_SIDE, MOST_SIDE)] * 20, draw, damaged=15)
        one = {"batch": 1, "crop": "", "order": "shuffle: true"}
        self.fixed_size = {"batch": MOST_BATCH, "crop": f"crop_size: {MOST_SIDE - 8}"}
        self.net_of_sizes = self.write_net("sizes.prototxt", self.data("sizes", **one))
        self.net_of_input = self.write(
            "input.prototxt",
            _INPUT.format(name="data", dims=f"dim: {MOST_BATCH} dim: 3 dim: {MOST_SIDE} dim: {MOST_SIDE}")
            + _INPUT.format(name="label", dims=f"dim: {MOST_BATCH}")
            + _BODY
            + _LOSS,
        )
        self.solver = self.write_solver()

    def write(self, name: str, content: str | bytes) -> str:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def write_net(self, name: str, data: str) -> str:
        return self.write(name, data + _BODY + _LOSS)

    def write_solver(self, more: str = "", name: str = "solver.prototxt") -> str:
        return self.write(name, _SOLVER.format(net=self.net_of_sizes, folder=self.folder, more=more))

    def data(self, source: str, batch: int, crop: str, order: str = "") -> str:
        """Data layers for both phases."""
        options = {"source": self.folder / source, "batch": batch, "crop": crop}
        return _DATA.format(phase="TRAIN", order=order, **options) + _DATA.format(phase="TEST", order="", **options)

    def states(self) -> list[Path]:
        """Solverstates, oldest first."""
        return sorted(
            self.folder.glob("run_iter_*.solverstate*"),
            key=lambda path: int(path.name.split("_iter_")[1].split(".")[0]),
        )

    def keep_states(self, count: int) -> None:
        """Deletes all but the last snapshots."""
        for state in self.states()[: -count or None]:
            for file in self.folder.glob(state.name.split(".")[0] + ".*"):
                file.unlink()

    def _write_lmdb(self, name: str, sizes: list, draw: np.random.Generator, damaged: int = -1) -> None:
        path = str(self.folder / name)
        with lmdb.open(path, map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
            for i, (height, width) in enumerate(sizes):
                datum = caffe_pb2.Datum(channels=3, height=height, width=width, label=int(draw.integers(3)))
                datum.data = draw.integers(0, 256, (3, height, width), np.uint8).tobytes()
                content = b"no Datum" if i == damaged else datum.SerializeToString()
                transaction.put(f"{i:08}".encode(), content)
