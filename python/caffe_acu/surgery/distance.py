"""How far from its base point a position may be that is carried from network to network."""

import numpy as np

from caffe_acu.errors import UserError

# Pixels, on each axis. No image is as large: what is farther is a slip of the pen, or of a training that diverged.
FARTHEST = 2**16


def require_near(x: np.ndarray, y: np.ndarray) -> None:
    """UserError for a position of x and y (sets, K), in pixels, that is farther, or not finite."""
    wrong = np.argwhere(~((np.abs(x) <= FARTHEST) & (np.abs(y) <= FARTHEST)))  # NaN included
    if len(wrong):
        s, k = wrong[0]
        raise UserError(
            f"synapse {k} of set {s} is at ({x[s, k]:g}, {y[s, k]:g}); a finite position of at most {FARTHEST} pixels "
            "was expected"
        )
