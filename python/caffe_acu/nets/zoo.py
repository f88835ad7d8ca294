"""What stands in ``models/``: every generated file, by its path. The command ``caffe-acu models`` writes them."""

from pathlib import Path

from google.protobuf.message import Message

from caffe_acu.net_param import format_prototxt, write_atomically
from caffe_acu.nets.builder import Acu
from caffe_acu.nets.plain import CIFAR10, WARMUP_ITER, cifar_solver, plain
from caffe_acu.nets.plain_authors import plain_authors

_MADE_BY = "Made by `caffe-acu models`; edit python/caffe_acu/nets instead."

_README = """\
---
name: {title}
paper: "Active Convolution: Learning the Shape of Convolution for Image Classification (CVPR 2017)"
table: 1
parameters: {parameters}
paper_error_percent: {error}
trained_here: no
---
{text}

    caffe-acu data cifar10 --source <archive or folder> --out data/cifar10/lmdb
    caffe train --solver models/{folder}/solver.prototxt

{status}
"""


def model_files() -> dict[str, str]:
    """Content of every file of ``models/``, by its path below that folder."""
    authors = "The plain ACU network in the dialect and with the names of the authors' Caffe fork, for their weights."
    return {
        **_plain_files("cvpr2017/plain", None, "CVPR 2017, Table 1, baseline"),
        **_plain_files("cvpr2017/plain_acu", Acu(warmup_iter=WARMUP_ITER), "CVPR 2017, Table 1, ACU"),
        "cvpr2017/plain_authors/deploy.prototxt": _text(plain_authors(), authors),
    }


def _plain_files(folder: str, acu: Acu | None, paper: str) -> dict[str, str]:
    name = folder.rpartition("/")[2]
    solver = cifar_solver(f"models/{folder}/train_val.prototxt", f"models/{folder}/{name}")
    run = f"Run from the root of the repository: caffe train --solver models/{folder}/solver.prototxt"
    return {
        f"{folder}/train_val.prototxt": _text(plain(acu, source=CIFAR10), f"Plain network, CIFAR-10 ({paper})."),
        f"{folder}/deploy.prototxt": _text(plain(acu), f"Plain network, CIFAR-10, for deployment ({paper})."),
        f"{folder}/solver.prototxt": _text(solver, f"Schedule of the paper, section 3.1 ({paper}).\n{run}"),
        f"{folder}/readme.md": _readme(folder, acu),
    }


def _text(message: Message, comment: str) -> str:
    return format_prototxt(message, f"{comment}\n{_MADE_BY}")


def _readme(folder: str, acu: Acu | None) -> str:
    if acu:
        title, parameters, error = "Plain network with ACUs (CIFAR-10)", 855_258, 7.33
        text = "All six 3x3 convolutions of the plain network are ACUs; positions stay put for 10,000 iterations."
    else:
        title, parameters, error = "Plain network (CIFAR-10)", 855_162, 8.01
        text = "The baseline: eight convolutions with batch normalisation, global average pooling."
    return _README.format(
        title=title,
        error=error,
        parameters=parameters,
        folder=folder,
        text=text,
        status="Trained on the full schedule here: not run.",
    )


def write_models(root: Path) -> list[Path]:
    """Writes ``models/`` below ``root``; returns the files whose content changed."""
    files, changed = model_files(), differing(root)
    for path in changed:
        write_atomically(path, files[str(path.relative_to(root))])
    return changed


def differing(root: Path) -> list[Path]:
    """The files below ``root`` that are missing or not what the generators make."""
    return [
        root / name
        for name, content in model_files().items()
        if not (root / name).is_file() or (root / name).read_text(encoding="utf-8") != content
    ]
