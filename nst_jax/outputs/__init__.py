"""What is kept and shown of a run; fed with records."""
