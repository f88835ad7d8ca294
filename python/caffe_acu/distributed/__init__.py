"""Training with several processes, on one machine or many: ``mpirun -np N caffe-acu train``."""
