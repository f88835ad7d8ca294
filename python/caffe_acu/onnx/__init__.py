"""Networks for ONNX Runtime and its like; in here ``import onnx`` is the library."""
