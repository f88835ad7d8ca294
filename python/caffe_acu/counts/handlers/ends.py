"""Layers at which a network ends: losses, measures, and those that swallow what nobody reads."""

from caffe_acu.counts.handlers.registry import LayerCount, Shape, axis_of, handles

LOSSES = (
    "ContrastiveLoss",
    "EuclideanLoss",
    "HingeLoss",
    "InfogainLoss",
    "MultinomialLogisticLoss",
    "SigmoidCrossEntropyLoss",
    "SoftmaxWithLoss",
)
SINKS = ("Silence", "HDF5Output")
# They cost nothing, whatever the shapes of their bottoms.
ENDS = (*LOSSES, "Accuracy", *SINKS)


@handles(*LOSSES, bottoms=2)
def _loss(layer, bottoms: list[Shape]) -> LayerCount:
    return LayerCount([(), bottoms[0]])  # the second: probabilities


@handles("Accuracy", bottoms=2)
def _accuracy(layer, bottoms: list[Shape]) -> LayerCount:
    axis = axis_of(layer, bottoms[0], layer.accuracy_param.axis)
    return LayerCount([(), (bottoms[0][axis],)])  # the second: for each class


@handles(*SINKS)
def _sink(layer, bottoms: list[Shape]) -> LayerCount:
    return LayerCount([])
