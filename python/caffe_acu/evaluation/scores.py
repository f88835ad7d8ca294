"""From scores to errors. N records, classes 0 to C - 1."""

import math
from dataclasses import dataclass

import numpy as np


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities, float64, of ``scores`` whose last axis is the classes."""
    scores = scores.astype(np.float64)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def average_views(scores: np.ndarray, views: int, probabilities: bool) -> np.ndarray:
    """One row of scores for each record, (N, C), from ``scores`` (N views, C), a record's views in succession.

    Averaged are probabilities, as Krizhevsky et al. (2012) average the softmax layer's predictions over ten crops;
    a softmax is taken unless the network's scores are ``probabilities`` already. One view's scores stay as they are,
    since a softmax would change nothing about their order.
    """
    if views == 1:
        return scores
    if not probabilities:
        scores = softmax(scores)
    return scores.astype(np.float64).reshape(-1, views, scores.shape[1]).mean(axis=1)


def ranks(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many other classes score as much as the right one or more, int (N,); it is in the top k if less than k.

    So a tie counts against the network, as in Caffe's Accuracy layer: one that answers the same for every class is
    wrong. ``scores`` (N, C) without NaN, ``labels`` (N,).
    """
    right = np.take_along_axis(scores, labels[:, None], axis=1)
    return (scores >= right).sum(axis=1) - 1


@dataclass(frozen=True)
class TopError:
    """The records whose class is not among the ``k`` of the highest scores."""

    k: int
    wrong: int
    records: int

    @property
    def percent(self) -> float:
        return 100 * self.wrong / self.records

    @property
    def standard_error(self) -> float:
        """Of ``percent``, in points, as that of a share of independent records."""
        share = self.wrong / self.records
        return 100 * math.sqrt(share * (1 - share) / self.records)

    def as_data(self) -> dict[str, float]:
        return {"percent": self.percent, "standard_error": self.standard_error, "wrong": self.wrong}


def top_error(ranks: np.ndarray, k: int) -> TopError:
    """Counts ``ranks`` of :func:`ranks`, at least one."""
    return TopError(k, int((ranks >= k).sum()), len(ranks))
