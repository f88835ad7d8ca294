"""Layers at which a network ends: losses, measures, and those that swallow what nobody reads."""

from caffe_acu.counts.handlers.registry import LayerCount, Shape, axis_of, handles

_LOSSES = (
    "ContrastiveLoss",
    "EuclideanLoss",
    "HingeLoss",
    "InfogainLoss",
    "MultinomialLogisticLoss",
    "SigmoidCrossEntropyLoss",
    "SoftmaxWithLoss",
)


@handles(*_LOSSES, bottoms=2, free=True)
def _loss(layer, bottoms: list[Shape]) -> LayerCount:
    return LayerCount([(), bottoms[0]])  # the second: probabilities


@handles("Accuracy", bottoms=2, free=True)
def _accuracy(layer, bottoms: list[Shape]) -> LayerCount:
    axis = axis_of(layer, bottoms[0], layer.accuracy_param.axis)
    return LayerCount([(), (bottoms[0][axis],)])  # the second: for each class


@handles("Silence", "HDF5Output", free=True)
def _sink(layer, bottoms: list[Shape]) -> LayerCount:
    return LayerCount([])
