"""Pictures one after the other as a file: a GIF, or with ffmpeg a film."""

import io
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from caffe_acu.errors import UserError
from caffe_acu.net_param import write_atomically

_COLOURS_OF_A_GIF = 128
_SHORTEST, _LONGEST = 0.04, 1.0  # seconds of a picture
_AT_THE_END = 2.0  # seconds for which a GIF shows the last picture before it begins anew


def check_film(path: Path) -> None:
    """UserError unless such a file can be made here: a .gif, or with ffmpeg an .mp4."""
    if path.suffix not in (".gif", ".mp4"):
        raise UserError(f"{path}: an animation is written as .gif or .mp4")
    if path.suffix == ".mp4" and not shutil.which("ffmpeg"):
        raise UserError(f"{path}: needs ffmpeg, which is not there: install it, or write a .gif")


def save_film(pictures: Sequence[Image.Image], path: Path, seconds: float) -> None:
    """Writes pictures (RGB, of one size) as the suffix says, whole or not at all, to last about so long.

    UserError as :func:`check_film`, where ffmpeg fails, and where the file cannot be written.
    """
    check_film(path)
    each = min(_LONGEST, max(_SHORTEST, seconds / len(pictures)))
    content = _as_gif(pictures, each) if path.suffix == ".gif" else _as_mp4(pictures, each, path)
    write_atomically(path, content)


def _as_gif(pictures: Sequence[Image.Image], each: float) -> bytes:
    # One palette for all: what stands still stays the same, and costs nothing.
    palette = _palette(pictures[-1])
    frames = [_in_palette(picture, palette) for picture in pictures]
    durations = [round(1000 * each)] * (len(frames) - 1) + [round(1000 * _AT_THE_END)]
    content = io.BytesIO()
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    return content.getvalue()


def _palette(picture: Image.Image) -> np.ndarray:
    """(n, 3) its most frequent colours."""
    found = sorted(picture.getcolors(picture.width * picture.height), reverse=True)
    return np.array([colour for _, colour in found[:_COLOURS_OF_A_GIF]], np.uint8)


def _in_palette(picture: Image.Image, palette: np.ndarray) -> Image.Image:
    """Colours of the palette stay exactly what they are, which Pillow's own way does not care for."""
    of_palette = Image.new("P", (1, 1))
    of_palette.putpalette(palette.tobytes())
    nearest = picture.quantize(palette=of_palette, dither=Image.Dither.NONE)
    codes, known = (np.asarray(values).astype(np.int64) @ (1 << 16, 1 << 8, 1) for values in (picture, palette))
    order = np.argsort(known)
    place = order[np.searchsorted(known, codes, sorter=order).clip(max=len(known) - 1)]
    exact = known[place] == codes
    kept = Image.fromarray(np.where(exact, place, np.asarray(nearest)).astype(np.uint8), "P")
    kept.putpalette(palette.tobytes())
    return kept


def _as_mp4(pictures: Sequence[Image.Image], each: float, path: Path) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.mp4"  # ffmpeg goes back in it, which a pipe does not allow
        line = ["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
        line += ["-s", "{}x{}".format(*pictures[0].size), "-r", f"{1 / each:.3f}", "-i", "-"]
        # What every player shows: even sides, and colours at half of the resolution.
        line += ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(film)]
        done = subprocess.run(line, input=b"".join(picture.tobytes() for picture in pictures), capture_output=True)
        if done.returncode or not film.is_file():
            reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            raise UserError(f"{path}: ffmpeg failed: {reason[0]}; write a .gif")
        return film.read_bytes()
