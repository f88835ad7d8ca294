"""A trained network for other engines: converted, checked and measured."""

import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caffe_acu.convert.options import ConvolutionOptions
from caffe_acu.convert.to_convolution import ConvertedNet, convert_to_convolutions
from caffe_acu.convert.verify import Differences, random_inputs, verify
from caffe_acu.counts.network import NetworkCount, count_network
from caffe_acu.errors import UserError, naming
from caffe_acu.trained_net import TrainedNet, caffe_net, read_trained

_PASSES = 5


@dataclass(frozen=True)
class Times:
    """Milliseconds of a forward pass, before and after: medians, both networks taking turns in one process."""

    before: float
    after: float
    passes: int
    cores: int
    input_shape: tuple[int, ...]


@dataclass(frozen=True)
class Deployment:
    trained: TrainedNet
    converted: ConvertedNet
    differences: Differences
    before: NetworkCount
    after: NetworkCount
    times: Times

    @property
    def zeros(self) -> int:
        """Weights of convolutions that are 0, since no synapse reaches them; they count as parameters."""
        made = {name for layer in self.converted.layers if layer.convolutions for name in layer.results}
        weights = [arrays[0] for name, arrays in self.converted.blobs.items() if name in made]
        return sum(weight.size - int(np.count_nonzero(weight)) for weight in weights)


def deploy(net: Path, weights: Path, options: ConvolutionOptions) -> Deployment:
    """Converts a network and checks that it still does the same; writes nothing, and needs libcaffe.

    UserError, which names the file: what :func:`read_trained`, :func:`convert_to_convolutions` and :func:`verify`
    refuse, and a network in which there is nothing to do.
    """
    trained = read_trained(net, weights)
    with naming(weights):
        converted = convert_to_convolutions(trained, options)
        if converted.layers:
            differences = verify(trained, converted)
    if not converted.layers:
        raise UserError(f"{net}: {_nothing_to_do(converted, options)}")
    before, after = count_network(trained.net), count_network(converted.net)
    return Deployment(trained, converted, differences, before, after, _measure(trained, converted))


def _nothing_to_do(converted: ConvertedNet, options: ConvolutionOptions) -> str:
    if converted.kept:
        return "all its active layers are to stay active, so nothing would change"
    if options.fold:
        return "no active layer in it, and no batch normalisation that follows a layer directly: nothing to convert"
    return "no active layer in it: nothing to convert; --fold would still take in batch normalisation"


def _measure(trained: TrainedNet, converted: ConvertedNet) -> Times:
    nets: list[Any] = [caffe_net(trained.net, trained.blobs), caffe_net(converted.net, converted.blobs)]
    for name, values in random_inputs(trained.net, nets[0], np.random.default_rng(0)).items():
        for net in nets:
            net.blobs[name].data[...] = values
    taken: list[list[float]] = [[], []]
    for i in range(1 + _PASSES):  # the first allocates memory
        for net, times in zip(nets, taken, strict=True):
            start = time.perf_counter()
            net.forward()
            if i:
                times.append(1000 * (time.perf_counter() - start))
    before, after = (statistics.median(times) for times in taken)
    shape = next((nets[0].blobs[name].data.shape for name in nets[0].inputs), ())
    return Times(before, after, _PASSES, len(os.sched_getaffinity(0)), tuple(shape))
