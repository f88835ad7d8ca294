"""What the two papers and the poster print."""
