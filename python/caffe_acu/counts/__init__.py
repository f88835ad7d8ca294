"""Parameters and multiply-adds of a network: a handler per layer type, conventions, and what adds them up."""
