"""Convert weights of other projects into this project's weights file."""
