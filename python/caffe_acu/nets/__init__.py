"""Generators of the papers' networks: one module per family, each the architecture in readable form."""
