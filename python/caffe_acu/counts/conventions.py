"""How papers count, as data: which convention gives which printed numbers, and how such a number is printed."""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Synapses:
    """Those of one layer."""

    sets: int  # position sets
    each: int  # K synapses in a set
    free: int  # of K, those that are not fixed


@dataclass(frozen=True)
class Convention:
    """What all conventions share: for one image, in the test phase.

    Parameters are weights, biases, the factor and shift of Scale and Bias, slopes of PReLU and the coordinates of
    synapses, whatever their lr_mult (the papers count those of ACU-Fixed); the statistics of BatchNorm are none.
    Multiply-adds are products with the weights of convolutions, deconvolutions, inner products and recurrent
    layers, padding included; what is done value by value, biases, pooling and losses cost nothing.
    """

    name: str
    description: str
    mega: int = 10**6  # what the M of a printed number stands for
    coordinates: Literal["free", "all", "none"] = "free"  # of which synapses of a set x and y are parameters
    interpolation_cost: int = 3  # multiply-adds for each value that an ACU interpolates

    def coordinate_count(self, synapses: Synapses) -> int:
        """Number of x that are parameters; there are as many y."""
        counted = {"free": synapses.free, "all": synapses.each, "none": 0}[self.coordinates]
        return counted * synapses.sets

    def abbreviate(self, count: int, decimals: int = 2, unit: Literal["M", "G"] | None = None) -> str:
        """A count as papers print it, ``0.82M`` or ``1.58G``: rounded, halves up.

        ``unit``: as chosen here if not given, G from one G on and M for all below.
        """
        giga = math.isqrt(self.mega) ** 3
        unit = unit or ("G" if count >= giga else "M")
        divisor = giga if unit == "G" else self.mega
        # Integers, since a quotient in floating point may fall on the wrong side of a half.
        scaled = (2 * count * 10**decimals + divisor) // (2 * divisor)
        digits = str(scaled).zfill(decimals + 1)
        return (f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits) + unit


PAPERS = Convention(
    "papers",
    "both papers' tables: 2 coordinates for every synapse but the fixed one, 2 (K - 1) a set (Eq. 7 of the grouped "
    "paper), 3 multiply-adds for each value that an ACU interpolates, M = 10^6",
)
CONVENTIONS = {
    convention.name: convention
    for convention in (
        PAPERS,
        Convention(
            "poster", "the CVPR poster: as papers, but M = 2^20, so that 855,162 is the printed 0.82M", mega=2**20
        ),
        Convention(
            "table9",
            "the ACUs of the grouped paper's Table 9: as papers, but the fixed synapse is counted too, 2 K a set, "
            "which was found as a fit to the two printed numbers and says nothing about the network",
            coordinates="all",
        ),
        Convention(
            "plain",
            "as papers, but an ACU's multiply-adds are those of the convolution: interpolating costs nothing",
            interpolation_cost=0,
        ),
        Convention(
            "convolution",
            "as if every ACU were the convolution it replaces: no coordinates, and interpolating costs nothing",
            coordinates="none",
            interpolation_cost=0,
        ),
    )
}
