"""Recurrent layers. Their first bottom is (T steps, N streams, ...), the second marks where sequences go on."""

import math

from caffe_acu.counts.handlers.registry import LayerCount, Shape, handles, require_axes, require_positive


@handles("RNN", bottoms=2)
def _rnn(layer, bottoms: list[Shape]) -> LayerCount:
    # Unlike elsewhere, the output is another product with the hidden state.
    hidden = layer.recurrent_param.num_output
    return _unrolled(layer, bottoms, gates=1, states=1, more=(hidden * hidden, hidden))


@handles("LSTM", bottoms=2)
def _lstm(layer, bottoms: list[Shape]) -> LayerCount:
    return _unrolled(layer, bottoms, gates=4, states=2, more=())


def _unrolled(layer, bottoms: list[Shape], gates: int, states: int, more: tuple[int, ...]) -> LayerCount:
    """``states``: hidden ones, which expose_hidden hands in and out; ``more``: weight and bias after the recurrence."""
    hidden, exposed = layer.recurrent_param.num_output, layer.recurrent_param.expose_hidden
    require_positive(layer, num_output=hidden)
    require_axes(layer, bottoms[0], 2)
    steps, streams, *features = bottoms[0]
    of_input = gates * hidden * math.prod(features)
    of_hidden = gates * hidden * hidden
    # A bottom that is the same at all steps comes after the second.
    static = [gates * hidden * math.prod(bottoms[2][1:])] if len(bottoms) > 2 + exposed * states else []
    return LayerCount(
        tops=[(steps, streams, hidden), *[(1, streams, hidden)] * (exposed * states)],
        learned=(of_input, gates * hidden, *static, of_hidden, *more),
        products=streams * (steps * (of_input + of_hidden + sum(more[:1])) + sum(static)),
    )


@handles("LSTMUnit", bottoms=3, free=True)
def _lstm_unit(layer, bottoms: list[Shape]) -> LayerCount:
    return LayerCount(bottoms[:1] * 2)
