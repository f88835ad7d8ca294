"""A few of many: what is shown where not all of it can be."""

import numpy as np


def evenly(count: int, most: int) -> np.ndarray:
    """At most ``most`` indices below ``count``, evenly spread, the first and the last among them."""
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).round().astype(np.int64)
