"""Ways to run: arrays in, a stream of records out."""
