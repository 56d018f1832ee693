"""What is meant by style: statistics of a layer's responses, and their distances."""
