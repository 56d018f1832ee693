"""Runs from a slightly other start: what differs between machines, made on one.

Command: NST_JAX_TEST_JITTER=SEED python scripts/jitter.py stylize ...
Result:  what `nst-jax` makes of the arguments, each run's start multiplied by
         1 + 1e-6 n, n standard normal by the seed (in float64 by as many of its last
         places); without the variable, from the start itself.

Runs are chaotic in float32, so that processors which round differently end at other
numbers. A claim about such a number holds elsewhere if it holds for many seeds.
"""

import contextlib
import os
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np

VARIABLE = "NST_JAX_TEST_JITTER"
EPSILONS = 1e-6 / float(np.finfo(np.float32).eps)  # as many in float64


@contextlib.contextmanager
def jittered(seed: str | int | None) -> Iterator[None]:
    """Move the start of all runs inside; of each scale's, of each lane's.

    All pass a solver's ``init``. Starts of one shape are moved alike, so that what is
    the same twice without it is so with it; a run that goes on is not moved again.

    Args:
        seed: a whole number; None or "" moves nothing.

    Raises:
        ValueError: if the seed is no whole number, or negative.
    """
    if seed is None or seed == "":
        yield
        return
    from nst_jax.solve.adam import Adam
    from nst_jax.solve.lbfgs import LBFGS

    try:
        np.random.default_rng(int(seed))
    except ValueError:
        raise ValueError(f"a jitter's seed is a whole number, not {seed!r}") from None
    with contextlib.ExitStack() as stack:
        for solver in (Adam, LBFGS):
            moved = _moved(solver.init, int(seed))
            stack.enter_context(mock.patch.object(solver, "init", moved))
        yield


def _moved(init: Callable, seed: int) -> Callable:
    def start(self, loss, picture):
        noise = np.random.default_rng(seed).standard_normal(picture.shape)
        relative = EPSILONS * float(np.finfo(picture.dtype).eps)
        factor = (1 + relative * noise).astype(picture.dtype)
        return init(self, loss, picture * factor)

    return start


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    with jittered(os.environ.get(VARIABLE)):
        runpy.run_module("nst_jax", run_name="__main__", alter_sys=True)
