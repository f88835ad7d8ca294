"""On images whose useful receptive field is known, an ACU grows to it and beats the convolution."""

import json

import numpy as np
import pytest

from caffe_acu.data.generated import prepare_generated
from caffe_acu.data.options import Constellations, GeneratedOptions, WriteOptions
from caffe_acu.experiments.run import Run
from caffe_acu.nets.builder import DataSource
from caffe_acu.nets.probe import probe, probe_solver
from caffe_acu.positions import read_positions

ITERATIONS = 1600
WHAT = Constellations(size=24, plane_gain=(1.0,))
START_RADIUS = (4 + 4 * np.sqrt(2)) / 8


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_acu_grows_to_the_known_radius_and_beats_the_convolution(tmp_path, seed):
    prepare_generated(tmp_path / "data", GeneratedOptions(6000, 1000, WHAT, WriteOptions(seed=seed)))
    classes = len(json.loads((tmp_path / "data" / "manifest.json").read_text())["classes"])
    source = DataSource(
        str(tmp_path / "data" / "train_lmdb"), str(tmp_path / "data" / "test_lmdb"), 64, 100, WHAT.size, mirror=False
    )
    runs = []
    for acu in (False, True):
        solver = probe_solver(ITERATIONS, seed)
        solver.test_iter[0] = 10
        run = Run("acu" if acu else "base", tmp_path / ("acu" if acu else "base"), ITERATIONS)
        run.write(probe(acu, source, classes), solver)
        run.start(threads=1)
        runs.append(run)
    for run in runs:
        while not run.poll():
            run.wait(1)
    base, acu = (run.log().test_error[-1] for run in runs)
    radius = read_positions(runs[1].snapshots()[-1])[0].mean_radius
    print(f"seed {seed}: base {base:.1f} %, ACU {acu:.1f} %, mean radius {radius:.2f}")
    assert START_RADIUS < 0.75 * WHAT.radius  # the start would not pass
    assert abs(radius - WHAT.radius) < 0.25 * WHAT.radius
    assert acu < base - 10
