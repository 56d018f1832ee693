"""Parts of ``scripts/train_tiny.py``: the training pictures and the distillation."""
