"""From one form of a network to another."""
