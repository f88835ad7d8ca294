"""From a table of a paper to its finished result: what has to run, in which order, and where it stands."""
