"""The network in Caffe, with weights that are checked before Caffe sees them, and told with a question that helps."""

from pathlib import Path
from typing import Any

import numpy as np

from caffe_acu.errors import UserError
from caffe_acu.evaluation.nets import TestNet
from caffe_acu.net_param import read_net
from caffe_acu.quiet_caffe import import_caffe, load_net
from caffe_acu.trained_net import check_weights


class Network:
    """A network in its test phase: images in, scores out, always ``shape`` (N, C, H, W) at a time."""

    def __init__(self, net: TestNet, weights: Path, shape: tuple[int, ...], gpu: int | None = None) -> None:
        """UserError, which names the layer, if ``weights`` are another network's; and without the GPU ``gpu``."""
        trained = read_net(weights)
        caffe = import_caffe()
        _choose_processor(caffe, gpu)
        self._input, self._scores = net.input, net.scores
        self._net = load_net(net.to_run(shape))
        wanted = {name: [tuple(blob.shape) for blob in blobs] for name, blobs in self._net.params.items()}
        check_weights(wanted, trained, weights)
        self._net.copy_from(str(weights))
        made = self._net.blobs[net.scores].data.shape
        if len(made) < 2 or made[0] != shape[0] or np.prod(made[1:]) != made[1]:
            raise UserError(
                f"blob {net.scores!r} has shape {made} for {shape[0]} images of {'x'.join(map(str, shape[1:]))}: one "
                "score is needed for every image and class; choose a blob with --scores, or check the image size"
            )
        self.classes: int = made[1]

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Of ``images`` float32 (n, C, H, W), n not more than N: float32 (n, classes). UserError if they are NaN."""
        # A last batch that is not full leaves old images behind it: to reshape would be no less work.
        self._net.blobs[self._input].data[: len(images)] = images
        self._net.forward()
        scores = self._net.blobs[self._scores].data[: len(images)].reshape(len(images), -1).copy()
        if not np.isfinite(scores).all():
            raise UserError(f"blob {self._scores!r} holds NaN or infinity: the weights are of a run that diverged")
        return scores


def _choose_processor(caffe: Any, gpu: int | None) -> None:
    if gpu is None:
        caffe.set_mode_cpu()
        return
    try:
        caffe.set_device(gpu)
        caffe.set_mode_gpu()
    except caffe.Error as error:
        raise UserError(f"--gpu {gpu}: {error.message}") from error
