"""The config: YAML and overrides -> frozen dataclasses.

Defaults stand in ``records`` and nowhere else. Precedence: default < YAML < override.
Unknown keys are errors with the nearest known one. Never imports jax, so that
``--help`` and mistakes are quick.
"""

from nst_jax.config.check import MOST_SCALES
from nst_jax.config.read import absolute, load, override, set_text
from nst_jax.config.records import (
    ColoursConfig,
    Config,
    Layers,
    Mask,
    NetworkConfig,
    ObjectiveConfig,
    OutputConfig,
    PhotorealismConfig,
    RegionsConfig,
    Scales,
    SolverConfig,
    StyleConfig,
)
from nst_jax.config.tree import blended, changed, from_tree, to_yaml

__all__ = [
    "MOST_SCALES",
    "ColoursConfig",
    "Config",
    "Layers",
    "Mask",
    "NetworkConfig",
    "ObjectiveConfig",
    "OutputConfig",
    "PhotorealismConfig",
    "RegionsConfig",
    "Scales",
    "SolverConfig",
    "StyleConfig",
    "absolute",
    "blended",
    "changed",
    "from_tree",
    "load",
    "override",
    "set_text",
    "to_yaml",
]
