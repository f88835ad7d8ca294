"""Global contrast normalisation and ZCA whitening, in float64.

The recipe of the pylearn2 library, which the ACU paper's preprocessing follows: an image's values X become
G = X - mean(X), scaled to the L2 norm 55; then Z = (G - mu) V diag(1 / sqrt(lambda + 0.1)) V^T, with the mean
mu and the covariance V diag(lambda) V^T of G over the training set.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffe_acu.data.options import PREPROCESSING
from caffe_acu.data.progress import progress, slices
from caffe_acu.errors import UserError

GCN_NORM = 55.0
ZCA_REGULARISATION = 0.1
# Below this an image is constant: what is left of it is rounding, which must not be blown up.
_SMALLEST_NORM = 1e-8
# 64 x 64 pixels in three planes: the covariance takes 1.2 GB, and finding its eigenvectors some five of them.
_LARGEST_ZCA = 3 * 64 * 64


def gcn(x: np.ndarray, norm: float = GCN_NORM) -> np.ndarray:
    """Rows of ``x`` (N, D) without their mean and scaled to the L2 norm ``norm``; float64 (N, D).

    A constant row becomes zero.
    """
    x = x - x.mean(axis=1, keepdims=True, dtype=np.float64)
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    return x * np.where(norms < _SMALLEST_NORM, 0.0, norm / np.maximum(norms, _SMALLEST_NORM))


@dataclass(frozen=True)
class Zca:
    """A fitted ZCA: ``mean`` (D,) and the symmetric ``matrix`` (D, D), float64."""

    mean: np.ndarray
    matrix: np.ndarray
    regularisation: float

    @classmethod
    def fit(cls, batches: Iterable[np.ndarray], regularisation: float = ZCA_REGULARISATION) -> "Zca":
        """Fits to the rows of all ``batches``, each (n, D) float64; only one of them is held at a time.

        The covariance is divided by the number of rows, as in pylearn2. Raises ValueError without rows.
        """
        count = 0
        total = moment = np.zeros(())
        # The uncentred second moment takes one pass. It costs few digits: after GCN mu is small against G.
        for batch in batches:
            count += len(batch)
            total = total + batch.sum(axis=0)
            moment = moment + batch.T @ batch
        if count == 0:
            raise ValueError("a ZCA cannot be fitted to nothing")
        mean = total / count
        covariance = moment / count - np.outer(mean, mean)
        values, vectors = np.linalg.eigh(covariance)
        # Rounding leaves tiny negative eigenvalues where images span less than the space.
        scales = 1.0 / np.sqrt(np.maximum(values, 0.0) + regularisation)
        return cls(mean, (vectors * scales) @ vectors.T, regularisation)

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Whitens the rows of ``x`` (N, D); float64 (N, D)."""
        return (x - self.mean) @ self.matrix


@dataclass(frozen=True)
class Preprocessing:
    """What turns pixels into the values that the network reads; ``kind`` is a key of PREPROCESSING."""

    kind: str
    zca: Zca | None = None

    @classmethod
    def fit(cls, images: np.ndarray, kind: str) -> "Preprocessing":
        """Fits to training images uint8 (N, C, H, W). Raises UserError if they are too large for a ZCA."""
        if kind != "gcn-zca":
            return cls(kind)
        values = images[0].size
        if values > _LARGEST_ZCA:
            raise UserError(
                f"--preprocess gcn-zca: images of {values} values need a covariance of {values**2 * 8 / 1e9:.0f} GB: "
                "use --preprocess gcn, or smaller images"
            )
        with progress("covariance", len(images)) as bar:

            def batches() -> Iterable[np.ndarray]:
                for part in slices(len(images)):
                    yield gcn(_rows(images[part]))
                    bar.update(part.stop - part.start)
                bar.set_description("eigenvectors")

            return cls(kind, Zca.fit(batches()))

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Images (n, C, H, W) of pixels 0 to 255, preprocessed in float64 and rounded to float32."""
        rows = _rows(images)
        if self.kind != "none":
            rows = gcn(rows)
        if self.zca is not None:
            rows = self.zca.apply(rows)
        return rows.astype(np.float32).reshape(images.shape)

    def save(self, path: Path) -> None:
        """Writes an npz with the options and, where there is a ZCA, its mean and matrix in float64."""
        arrays: dict[str, np.ndarray] = {"kind": np.array(self.kind), "gcn_norm": np.array(GCN_NORM)}
        if self.zca is not None:
            arrays |= {
                "mean": self.zca.mean,
                "matrix": self.zca.matrix,
                "regularisation": np.array(self.zca.regularisation),
            }
        np.savez(path, **arrays)

    @classmethod
    def load(cls, path: Path) -> "Preprocessing":
        """Reads what :meth:`save` wrote. Raises UserError if ``path`` is no such file."""
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            kind = str(arrays["kind"])
            if kind not in PREPROCESSING or arrays["gcn_norm"] != GCN_NORM:
                raise ValueError(f"preprocessing {kind!r} with norm {arrays['gcn_norm']}")
            zca = None
            if kind == "gcn-zca":
                zca = Zca(arrays["mean"], arrays["matrix"], float(arrays["regularisation"]))
        except (OSError, KeyError, ValueError, EOFError) as error:
            raise UserError(f"{path}: no preprocess.npz of caffe-acu ({error}): prepare the data again") from error
        return cls(kind, zca)


def _rows(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float64)
