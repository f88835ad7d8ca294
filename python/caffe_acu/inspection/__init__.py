"""What was learned, as numbers: statistics of layers, receptive fields, differences."""
