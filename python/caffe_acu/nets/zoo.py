"""What stands in ``models/``: every generated file, by its path. The command ``caffe-acu models`` writes them."""

from functools import cache
from pathlib import Path

from google.protobuf.message import Message

from caffe_acu.errors import UserError
from caffe_acu.net_param import format_prototxt, write_atomically
from caffe_acu.nets.cvpr2017 import cvpr2017_models
from caffe_acu.nets.grouped import grouped_models
from caffe_acu.nets.model import Model
from caffe_acu.nets.model_page import model_page
from caffe_acu.nets.model_table import model_table
from caffe_acu.papers.our_results import COMMITTED, OurResults, read_our_results

_MADE_BY = "Made by `caffe-acu models`; edit python/caffe_acu/nets instead."


@cache
def all_models() -> tuple[Model, ...]:
    """Every network of both papers, in the order of their tables."""
    return (*cvpr2017_models(), *grouped_models())


def model_files(results: Path = COMMITTED) -> dict[str, str]:
    """Content of every file of ``models/``, by its path below that folder.

    ``results``: the folder of our results, which stand beside the papers'; UserError if one of them is damaged.
    """
    ours = read_our_results(results)
    files = {"README.md": model_table(list(all_models()), ours)}
    for model in all_models():
        files |= {f"{model.folder}/{name}": content for name, content in _files(model, ours).items()}
    return files


def _files(model: Model, ours: OurResults) -> dict[str, str]:
    path = f"models/{model.folder}"
    run = f"Run from the root of the repository: caffe train --solver {path}/solver.prototxt"
    return {
        "train_val.prototxt": _text(model.train_val(), f"{model.title}: to train and test on {model.data.name}."),
        "deploy.prototxt": _text(model.deploy(), f"{model.title}: to deploy ({model.data.name})."),
        "solver.prototxt": model.schedule.text(
            f"{path}/train_val.prototxt",
            f"{path}/{model.name}",
            f"{model.title}: schedule of {model.schedule.printed_in}.\n{_MADE_BY}\n{run}",
        ),
        "readme.md": model_page(model, ours),
    }


def _text(message: Message, comment: str) -> str:
    return format_prototxt(message, f"{comment}\n{_MADE_BY}")


def write_models(root: Path) -> list[Path]:
    """Writes ``models/`` below ``root``; returns the files whose content changed."""
    files = model_files()
    changed = _differing(root, files)
    for path in changed:
        write_atomically(path, files[str(path.relative_to(root))])
    return changed


def differing(root: Path) -> list[Path]:
    """The files below ``root`` that are missing or not what the generators make; UserError if one cannot be read."""
    return _differing(root, model_files())


def _differing(root: Path, files: dict[str, str]) -> list[Path]:
    return [root / name for name, content in files.items() if _content(root / name) != content.encode("utf-8")]


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
