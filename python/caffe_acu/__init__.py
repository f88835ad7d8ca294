"""Tools around Caffe networks of active convolution units (ACU): data, networks, positions, figures.

Nothing here is needed to train with the ``caffe`` program.
"""

__version__ = "0.1.0"
