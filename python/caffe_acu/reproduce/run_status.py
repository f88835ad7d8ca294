"""Whether a run waits, is at work, has stopped or failed, as its folder tells. Nothing is written here."""

from pathlib import Path

from caffe_acu.reproduce.locks import RUN_LOCK, is_locked

DONE = "DONE"  # training and test are complete
TRAINED = "TRAINED"  # training is
RUN_LOG = "run.log"  # what `caffe-acu run` says


def run_status(folder: Path) -> str:
    """ "waiting", "running", "testing", "stopped", "failed" or "done"; the second and third only while a process works
    there."""
    if (folder / DONE).is_file():
        return "done"
    if is_locked(folder / RUN_LOCK):
        return "testing" if (folder / TRAINED).is_file() else "running"
    if failure(folder):
        return "failed"
    return "stopped" if (folder / "train.log").is_file() else "waiting"


def failure(folder: Path) -> str:
    """What a run that failed has said last; "" for others."""
    try:
        lines = (folder / RUN_LOG).read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "" if not lines or lines[-1].endswith((": done", ": interrupted")) else lines[-1]
