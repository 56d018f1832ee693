"""Pictures: files, sizes, and the one a run starts from."""
