"""Training runs: their folders, their course, and what is reported of them."""
