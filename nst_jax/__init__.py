"""Neural style transfer by optimisation, in JAX and Flax.

>>> import nst_jax
>>> result = nst_jax.stylize("town.jpg", "night.jpg", size=384)  # doctest: +SKIP
>>> result.save("out.png")  # doctest: +SKIP
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nst_jax.run import Result as Result
    from nst_jax.run import stylize as stylize
    from nst_jax.sweep_api import SweepResult as SweepResult
    from nst_jax.sweep_api import sweep as sweep

__version__ = version("nst-jax")
__all__ = ["Result", "SweepResult", "__version__", "stylize", "sweep"]

_PLACES = {
    "Result": "run",
    "stylize": "run",
    "SweepResult": "sweep_api",
    "sweep": "sweep_api",
}


def __dir__() -> list[str]:
    return list(__all__)


def __getattr__(name: str):
    # Lazy, so that `nst-jax --help` does not wait for jax.
    if name in _PLACES:
        return getattr(import_module(f"nst_jax.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'nst_jax' has no attribute {name!r}")
