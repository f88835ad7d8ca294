"""The page of a table: one HTML file that needs no network. Takes a dictionary, reads no results."""
