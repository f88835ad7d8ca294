"""The figures of a trial. Needs Matplotlib, which training does not."""

from pathlib import Path

from caffe_acu.experiments.trial import Pair
from caffe_acu.plots.curves import training_curves
from caffe_acu.plots.figures import save
from caffe_acu.plots.movement import movement
from caffe_acu.plots.shapes import shapes
from caffe_acu.positions import read_positions, read_series


def draw(out: Path, pair: Pair, schedule: str) -> None:
    """Learned shapes, positions over iterations (first and last layer) and training curves of a pair, as PNG."""
    name, snapshots = pair.acu.name, pair.acu.snapshots()
    learned = read_positions(snapshots[-1])
    save(shapes(learned, f"{name}: learned shapes after {pair.acu.max_iter} iterations"), out / f"{name}_shapes.png")
    series = read_series(snapshots)
    ends = series if len(series) == 1 else [series[0], series[-1]]
    save(movement(ends, f"{name}: positions of the synapses"), out / f"{name}_movement.png")
    curves = {pair.base.name: pair.base.log(), name: pair.acu.log()}
    save(training_curves(curves, schedule), out / f"{name}_curves.png")
