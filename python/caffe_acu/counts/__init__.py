"""Parameters and multiply-adds of a network: a handler per layer type, and what adds them up."""
