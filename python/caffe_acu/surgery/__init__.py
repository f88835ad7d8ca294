"""Learned shapes as files of their own: out of one network, into another, rounded, frozen."""
