"""Weights that no training has touched yet."""

from pathlib import Path

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.quiet_caffe import import_caffe
from caffe_acu.trained_net import caffe_net, read_deploy, weights_message

_SEEDS = 2**32


def random_weights(net: Path, seed: int) -> "caffe_pb2.NetParameter":
    """The weights with which Caffe starts to train a deploy network; needs libcaffe.

    UserError as ``read_deploy``, and for a seed that Caffe does not take.
    """
    if not 0 <= seed < _SEEDS:
        raise UserError(f"--seed is {seed}: it takes 0 to {_SEEDS - 1}")
    deployed = read_deploy(net)
    import_caffe().set_random_seed(seed)
    made = caffe_net(deployed, {}).params
    return weights_message(deployed, {name: [blob.data for blob in blobs] for name, blobs in made.items()})
