"""Versions of ONNX's operators."""

# The newest that both libraries know: onnx since 1.21, onnxruntime since 1.25. onnxruntime 1.31 still loads no 27.
OPSET = 26
FIRST_OPSET = 13  # from here on Softmax works along one axis, as Caffe's does
FIRST_OPSET_DEFORM_CONV = 19
