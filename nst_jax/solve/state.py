"""What every solver's state carries, and what a solver is."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from nst_jax.types import Image, LossTerms, Scalar

AVERAGE = -1
Loss = Callable[[Image], tuple[Scalar, LossTerms]]


class State(NamedTuple):
    """A solver's state: a pytree of arrays, the same structure at every step.

    Attributes:
        picture: the current picture, (h, w, 3).
        terms: its losses; infinite before the first evaluation.
        best_picture: the picture to hand out: that of the lowest objective so far, or
            an average of pictures if the solver makes one.
        best_terms: its losses; of an average, which is never evaluated, those of the
            picture it ends with.
        best_step: the step that made it; ``AVERAGE`` for an average.
        evaluations: evaluations of objective and gradient so far: one per step.
        refused: steps that were undone.
        refused_in_a_row: how many of them since the last accepted one.
        inner: the solver's own.
    """

    picture: Image
    terms: LossTerms
    best_picture: Image
    best_terms: LossTerms
    best_step: jax.Array
    evaluations: jax.Array
    refused: jax.Array
    refused_in_a_row: jax.Array
    inner: Any


class Solver(Protocol):
    """A pair of pure functions. Solvers never loop and never print."""

    def init(self, loss: Loss, picture: Image) -> State:
        """The state before the first evaluation. Evaluates nothing."""
        ...

    def step(self, loss: Loss, state: State) -> State:
        """One evaluation of the loss and its gradient.

        The first step evaluates the starting picture and moves nowhere, so that the
        compiled program holds the network once.
        """
        ...


def initial_state(picture: Image, terms: LossTerms, inner: Any) -> State:
    """A state without any evaluation; ``terms`` gives structure and dtypes only."""
    unknown = jax.tree.map(lambda x: jnp.full(x.shape, jnp.inf, x.dtype), terms)
    zero = jnp.zeros((), jnp.int32)
    return State(
        picture, unknown, picture, unknown, zero, zero, zero, zero, inner
    )  # fmt: skip


def advance(
    state: State, accepted: jax.Array, picture: Image, terms: LossTerms, inner: Any
) -> State:
    """The next state, with the books kept, after one evaluation.

    Args:
        state: the state before the step.
        accepted: whether the step counts; if not, picture and terms stay.
        picture: where the step led.
        terms: the losses there.
        inner: the solver's own next state.
    """
    better = accepted & (terms.total < state.best_terms.total)
    return State(
        picture=jnp.where(accepted, picture, state.picture),
        terms=select(accepted, terms, state.terms),
        best_picture=jnp.where(better, picture, state.best_picture),
        best_terms=select(better, terms, state.best_terms),
        best_step=jnp.where(better, state.evaluations, state.best_step),
        evaluations=state.evaluations + 1,
        refused=state.refused + ~accepted,
        refused_in_a_row=jnp.where(accepted, 0, state.refused_in_a_row + 1),
        inner=inner,
    )


def acceptable(
    picture: Image, total: Scalar, gradient: Image, state: State
) -> jax.Array:
    """Whether a new point may be kept.

    Finite, at most twice the last loss, at most 100 times the best: steps without a
    line search may rise for a moment, and often must, but not without bound. And it
    must be a new point: a step too short for float32 is no progress.
    """
    finite = jnp.isfinite(total) & jnp.isfinite(jnp.sum(jnp.abs(gradient)))
    bounded = (total <= 2 * state.terms.total) & (total <= 100 * state.best_terms.total)
    moved = jnp.any(picture != state.picture) | (state.evaluations == 0)
    return finite & bounded & moved


def into_box(picture: Image, box: bool) -> Image:
    """The nearest picture with values in [0, 1], if there is such a box."""
    return jnp.clip(picture, 0.0, 1.0) if box else picture


def select(condition: jax.Array, new, old):
    """``new`` where the scalar condition holds, else ``old``, for pytrees."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)
