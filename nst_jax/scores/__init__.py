"""Offline scores of a result: style, content, noise; with and without a network."""
