"""From a table of a paper to its finished result."""
