"""Top-k error of a trained network over a prepared LMDB, with one crop or ten."""
