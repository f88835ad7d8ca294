"""What pycaffe's modules import as ``.proto``."""

from caffe_acu.caffe_proto import caffe_pb2 as caffe_pb2
