"""Make many pictures at once: a grid of settings, side by side.

Command: python scripts/sweep.py --config configs/grid_alpha_beta.yaml
Time: said in each of configs/{grid_alpha_beta,grid_layers_ratio,seeds,
styles_x_contents}.yaml.
Result: a folder (runs/0001, ...) with sheet.png, table.csv, pareto.png, report.html,
manifest.json, config.yaml, and for each lane lanes/0000/ with config.yaml, result.png
and trace.csv.

The same as ``nst-jax sweep``; all its options work here.
"""

import sys
from pathlib import Path

# From a clone, without installing the project itself.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nst_jax.cli import program

if __name__ == "__main__":
    program(arguments=["sweep", *sys.argv[1:]])
