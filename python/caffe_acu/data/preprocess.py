"""Global contrast normalisation, ZCA whitening, and means and deviations of planes, in float64.

The recipe of the first two is that of the pylearn2 library, which the ACU paper's preprocessing follows: an
image's values X become G = X - mean(X), scaled to the L2 norm 55; then Z = (G - mu) V diag(1 / sqrt(lambda + 0.1))
V^T, with the mean mu and the covariance V diag(lambda) V^T of G over the training set.
"""

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffe_acu.data.options import CHANNEL_ORDERS, PREPROCESSING
from caffe_acu.data.progress import progress, slices
from caffe_acu.errors import UserError

GCN_NORM = 55.0
ZCA_REGULARISATION = 0.1
# Below this an image is constant: what is left of it is rounding, which must not be blown up.
_SMALLEST_NORM = 1e-8
# 64 x 64 pixels in three planes: the covariance takes 1.2 GB, and finding its eigenvectors some five of them.
_LARGEST_ZCA = 3 * 64 * 64

Shape = tuple[int, int, int]  # channels, height, width


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

    def invert(self, z: np.ndarray) -> np.ndarray:
        """The rows (N, D) of which :meth:`apply` makes ``z``; float64 (N, D)."""
        return np.linalg.solve(self.matrix, z.T).T + self.mean

    def arrays(self) -> dict[str, np.ndarray]:
        return {"mean": self.mean, "matrix": self.matrix, "regularisation": np.array(self.regularisation)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], shape: Shape) -> "Zca":
        """What :meth:`arrays` gave; ValueError if it is not for images of ``shape``."""
        values = int(np.prod(shape))
        return cls(
            _finite(arrays, "mean", (values,)),
            _finite(arrays, "matrix", (values, values)),
            float(_finite(arrays, "regularisation", ())),
        )


@dataclass(frozen=True)
class PlaneScale:
    """A mean and a deviation for every plane: ``mean`` and ``deviation`` (C,), float64, grey levels."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def fit(cls, images: np.ndarray, scale: bool) -> "PlaneScale":
        """Fits to all pixels of images uint8 (N, C, H, W); without ``scale`` the deviations are 1.

        A deviation is that of a population, divided by the number of pixels. A constant plane has none to
        divide by and gets 1 as well: it becomes zeros.
        """
        channels = images.shape[1]
        sums, squares = [0] * channels, [0] * channels
        with progress("means of planes", len(images)) as bar:
            for part in slices(len(images)):
                planes = images[part].swapaxes(0, 1).reshape(channels, -1).astype(np.int64)
                for channel, plane in enumerate(planes):
                    sums[channel] += int(plane.sum())
                    squares[channel] += int(plane @ plane)
                bar.update(part.stop - part.start)
        count = images.size // channels
        # In whole numbers, so that the variance of a constant plane is 0 and not what rounding leaves of it.
        variances = [(count * square - total**2) / count**2 for total, square in zip(sums, squares, strict=True)]
        deviation = np.sqrt(variances) if scale else np.ones(channels)
        return cls(np.array(sums) / count, np.where(deviation == 0, 1.0, deviation))

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Scales the planes of images in rows ``x`` (N, D), D = C H W; float64 (N, D)."""
        planes = x.reshape(len(x), len(self.mean), -1)
        return ((planes - self.mean[:, None]) / self.deviation[:, None]).reshape(x.shape)

    def invert(self, z: np.ndarray) -> np.ndarray:
        """The rows (N, D) of which :meth:`apply` makes ``z``; float64 (N, D)."""
        planes = z.reshape(len(z), len(self.mean), -1)
        return (planes * self.deviation[:, None] + self.mean[:, None]).reshape(z.shape)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"mean": self.mean, "deviation": self.deviation}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], shape: Shape) -> "PlaneScale":
        """What :meth:`arrays` gave; ValueError if it is not for images of ``shape``."""
        deviation = _finite(arrays, "deviation", shape[:1])
        if np.any(deviation <= 0):
            raise ValueError("a deviation that is not above 0")
        return cls(_finite(arrays, "mean", shape[:1]), deviation)


_WITH_GCN = ("gcn-zca", "gcn")
_FITTED: Mapping[str, type[Zca] | type[PlaneScale]] = {"gcn-zca": Zca, "mean-std": PlaneScale, "mean": PlaneScale}


@dataclass(frozen=True)
class Preprocessing:
    """What turns pixels into the values that the network reads.

    ``kind`` is a key of PREPROCESSING, ``shape`` (C, H, W) that of the images it was fitted to, and
    ``channel_order``, a key of CHANNEL_ORDERS, the order of their planes, which is also that of all parameters.
    """

    kind: str
    shape: Shape
    channel_order: str = "rgb"
    fitted: Zca | PlaneScale | None = None

    @classmethod
    def fit(cls, images: np.ndarray, kind: str, channel_order: str = "rgb") -> "Preprocessing":
        """Fits to training images uint8 (N, C, H, W), whose planes are in ``channel_order``.

        Raises UserError if they are too large for a ZCA.
        """
        fitted: Zca | PlaneScale | None = None
        if kind == "gcn-zca":
            fitted = _fit_zca(images)
        elif kind in ("mean-std", "mean"):
            fitted = PlaneScale.fit(images, scale=kind == "mean-std")
        return cls(kind, images.shape[1:], channel_order, fitted)

    def takes(self, shape: Shape) -> bool:
        """Whether images of ``shape`` (C, H, W) can be preprocessed: a ZCA knows every pixel, the others planes."""
        return shape == self.shape if isinstance(self.fitted, Zca) else shape[0] == self.shape[0]

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Images (n, C, H, W) of pixels 0 to 255, preprocessed in float64 and rounded to float32."""
        rows = _rows(images)
        if self.kind in _WITH_GCN:
            rows = gcn(rows)
        if self.fitted is not None:
            rows = self.fitted.apply(rows)
        return rows.astype(np.float32).reshape(images.shape)

    @property
    def gives_grey_levels(self) -> bool:
        """Whether :meth:`invert` does, 0 to 255."""
        return self.kind not in _WITH_GCN

    def invert(self, images: np.ndarray) -> np.ndarray:
        """Pictures to look at, float64 (n, C, H, W), of preprocessed images (n, C, H, W), without padding.

        Undoes :meth:`apply` but for the contrast normalisation: after ``gcn`` and ``gcn-zca`` an image's brightness
        and contrast are lost, and what is returned has mean 0 and L2 norm 55. The others give grey levels.
        """
        rows = _rows(images)
        if self.fitted is not None:
            rows = self.fitted.invert(rows)
        return rows.reshape(images.shape)

    def save(self, path: Path) -> None:
        """Writes an npz with kind, shape, order of planes and, where something was fitted, its float64 arrays."""
        np.savez(
            path,
            kind=np.array(self.kind),
            shape=np.array(self.shape),
            channel_order=np.array(self.channel_order),
            gcn_norm=np.array(GCN_NORM),
            **({} if self.fitted is None else self.fitted.arrays()),
        )

    @classmethod
    def load(cls, path: Path) -> "Preprocessing":
        """Reads what :meth:`save` wrote. Raises UserError if ``path`` is no such file."""
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            kind, channel_order = str(arrays["kind"]), str(arrays["channel_order"])
            if kind not in PREPROCESSING or channel_order not in CHANNEL_ORDERS or arrays["gcn_norm"] != GCN_NORM:
                raise ValueError(f"preprocessing {kind!r}, planes {channel_order!r}, norm {arrays['gcn_norm']}")
            channels, height, width = (int(size) for size in arrays["shape"])
            shape = (channels, height, width)
            fitted = _FITTED[kind].from_arrays(arrays, shape) if kind in _FITTED else None
        except (OSError, KeyError, ValueError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
            raise UserError(f"{path}: no preprocess.npz of caffe-acu ({error}): prepare the data again") from error
        return cls(kind, shape, channel_order, fitted)


def _fit_zca(images: np.ndarray) -> Zca:
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
            bar.set_description("eigenvectors", refresh=False)

        return Zca.fit(batches())


def _finite(arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    array = arrays[name].astype(np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"'{name}' of shape {array.shape} instead of {shape}, or not finite")
    return array


def _rows(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float64)
