"""What an SVG of Matplotlib's shows, told by its own ticks: nothing here knows how a figure was drawn."""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

_SVG = "{http://www.w3.org/2000/svg}"


class SvgFigure:
    def __init__(self, path: Path) -> None:
        parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
        self.root = ElementTree.parse(path, parser).getroot()
        self.axes = [group for group in self.root.iter(f"{_SVG}g") if re.fullmatch(r"axes_\d+", group.get("id", ""))]

    @property
    def inches(self) -> tuple[float, float]:
        width, height = (float(self.root.get(side).removesuffix("pt")) / 72 for side in ("width", "height"))
        return width, height

    def marks(self, name: str) -> np.ndarray:
        """(n, 2) points of the page at which the group of that name has its marks."""
        (group,) = [group for group in self.root.iter(f"{_SVG}g") if group.get("id") == name]
        return np.array([(float(use.get("x")), float(use.get("y"))) for use in group.iter(f"{_SVG}use")])

    def line(self, name: str) -> np.ndarray:
        """(n, 2) points of the page through which the line of that name leads."""
        (group,) = [group for group in self.root.iter(f"{_SVG}g") if group.get("id") == name]
        return _points(next(group.iter(f"{_SVG}path")).get("d"))

    def read(self, points: np.ndarray, axes: ElementTree.Element) -> np.ndarray:
        """Points of the page as the numbers at the axes have it, (n, 2)."""
        return np.stack([self._read(points[:, axis], axes, axis) for axis in (0, 1)], -1)

    def axes_of(self, name: str) -> ElementTree.Element:
        (found,) = [axes for axes in self.axes if any(group.get("id") == name for group in axes.iter(f"{_SVG}g"))]
        return found

    def _read(self, values: np.ndarray, axes: ElementTree.Element, axis: int) -> np.ndarray:
        # Numbers stand at the outer ones of panels that share them.
        extent = self._extent(axes, axis)
        for other in [axes, *self.axes]:
            ticks = _ticks(other, axis)
            if len(ticks) > 1 and np.allclose(self._extent(other, axis), extent, atol=1e-6):
                places, numbers = np.array(ticks).T
                slope, offset = np.polyfit(places, numbers, 1)
                np.testing.assert_allclose(slope * places + offset, numbers, atol=1e-5 * np.ptp(numbers))
                return slope * values + offset
        raise AssertionError("no numbers at these axes")

    def _extent(self, axes: ElementTree.Element, axis: int) -> tuple[float, float]:
        points = _points(next(axes.iter(f"{_SVG}path")).get("d"))[:, axis]
        return points.min(), points.max()


def _ticks(axes: ElementTree.Element, axis: int) -> list[tuple[float, float]]:
    """Place on the page and number, of each tick that has a number."""
    found = []
    for tick in axes.iter(f"{_SVG}g"):
        if re.fullmatch(f"{'xy'[axis]}tick_\\d+", tick.get("id", "")):
            texts = [comment.text.strip() for comment in tick.iter(ElementTree.Comment)]
            lines = [_points(path.get("d")) for path in tick.findall(f"{_SVG}g/{_SVG}path")]
            if texts and lines:
                found.append((lines[0][0, axis], float(texts[0].replace("−", "-").replace(",", ""))))
    return found


def _points(path: str) -> np.ndarray:
    return np.array(re.findall(r"[ML] (-?[\d.]+) (-?[\d.]+)", path), dtype=float)
