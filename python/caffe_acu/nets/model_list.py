"""The networks of ``models/`` for a terminal: a line for each."""

from collections.abc import Iterable

from caffe_acu.nets.model import Model
from caffe_acu.tables import aligned


def model_list(models: Iterable[Model]) -> str:
    """Folder below ``models/``, where the papers print it, data set, parameters and multiply-adds."""
    head = ("network", "printed in", "data", "parameters", "multiply-adds")
    return aligned([head, *(_line(model) for model in models)])


def _line(model: Model) -> tuple[str, ...]:
    places = dict.fromkeys(row.place for row in model.printed)
    counts = f"{model.count.parameters:,}", f"{model.count.multiply_adds:,}"
    return model.folder, "; ".join(places), model.data.name, *counts
