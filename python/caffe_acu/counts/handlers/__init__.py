"""One small function per layer type: the shapes of its tops, what it learns, its multiply-adds.

``HANDLERS`` has them by type, ``INPUTS`` those of layers that bring data in; ``FREE`` names types without any cost.
"""

from caffe_acu.counts.handlers import active, arranging, elementwise, ends, products, recurrent, windows  # noqa: F401
from caffe_acu.counts.handlers.inputs import INPUTS
from caffe_acu.counts.handlers.registry import FREE, HANDLERS

__all__ = ["FREE", "HANDLERS", "INPUTS"]
