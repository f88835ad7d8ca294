"""Weights that no training has touched yet."""

from pathlib import Path

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.quiet_caffe import import_caffe
from caffe_acu.trained_net import caffe_net, read_deploy, weights_message


def random_weights(net: Path, seed: int) -> "caffe_pb2.NetParameter":
    """The weights with which Caffe starts to train a deploy network; needs libcaffe. UserError as ``read_deploy``."""
    deployed = read_deploy(net)
    import_caffe().set_random_seed(seed)
    made = caffe_net(deployed, {}).params
    return weights_message(deployed, {name: [blob.data for blob in blobs] for name, blobs in made.items()})
