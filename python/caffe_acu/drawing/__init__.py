"""A network as a picture: prototxt -> steps -> boxes -> repeated blocks -> DOT text -> Graphviz. No libcaffe."""
