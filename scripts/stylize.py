"""Make one stylised picture.

Command: python scripts/stylize.py --config configs/starry.yaml
Time: about a minute on two CPU cores at quarter width, 15 at full width; seconds on
a GPU.
Result: a run folder (runs/0001, ...) with result.png, losses.png, trace.csv,
snapshots/, manifest.json and config.yaml.

The same as ``nst-jax stylize``; all its options work here.
"""

import sys
from pathlib import Path

# From a clone, without installing the project itself.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nst_jax.cli import program

if __name__ == "__main__":
    program(arguments=["stylize", *sys.argv[1:]])
