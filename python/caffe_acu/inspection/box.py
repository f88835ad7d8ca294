"""Boxes on the plane of input pixels."""

from dataclasses import dataclass

from caffe_acu.start_shapes import Pair


@dataclass(frozen=True)
class Box:
    """From the first to the last row and column, in pixels, both within; the ends may be between pixels."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def size(self) -> tuple[float, float]:
        """Height and width in pixels. One pixel has 1 x 1, and so has a single point; a 3x3 lattice 3 x 3."""
        return self.bottom - self.top + 1, self.right - self.left + 1

    def beyond(self, other: "Box", jump: Pair) -> "Box":
        """What is seen through this box if each of its ends sees ``other``, whose steps are ``jump`` of this one's."""
        return Box(
            self.left + jump[1] * other.left,
            self.top + jump[0] * other.top,
            self.right + jump[1] * other.right,
            self.bottom + jump[0] * other.bottom,
        )

    def around(self, other: "Box") -> "Box":
        """The smallest box around both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )
