"""A labelled set of images in memory, before any preprocessing."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from caffe_acu.errors import UserError


@dataclass(frozen=True)
class ImageSet:
    """Images of one split.

    ``images`` is uint8 (N, 3, H, W), planes R, G, B as readers give them; ``labels`` int64 (N,), indices into
    ``classes``; ``source`` says in words where they come from.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    source: str

    def __len__(self) -> int:
        return len(self.labels)

    def first_per_class(self, limit: int) -> "ImageSet":
        """The first ``limit`` images of every class, in their order; UserError if a class has fewer."""
        chosen = []
        for label, name in enumerate(self.classes):
            indices = np.flatnonzero(self.labels == label)
            if len(indices) < limit:
                raise UserError(
                    f"{self.source}: class '{name}' has {len(indices)} images, fewer than the {limit} per class "
                    "that were asked for: lower the limit"
                )
            chosen.append(indices[:limit])
        indices = np.sort(np.concatenate(chosen))
        return replace(self, images=self.images[indices], labels=self.labels[indices])

    def with_planes(self, channel_order: str) -> "ImageSet":
        """The same with its planes, now R, G, B, in ``channel_order``, a key of CHANNEL_ORDERS."""
        return replace(self, images=self.images[:, :: {"rgb": 1, "bgr": -1}[channel_order]])


class Sources(NamedTuple):
    """What a reader found: both splits, and everything that was not as it should be."""

    train: ImageSet
    test: ImageSet
    form: str  # in words, for the summary and the manifest
    short: dict[str, int]  # batch file -> records taken, for files with fewer than the official number
    skipped: tuple[str, ...]  # damaged image files left out
    ignored: tuple[str, ...]  # files that are no images, left unread
