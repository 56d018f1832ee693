"""Adam (Kingma and Ba 2015) from optax, with the same safety net as L-BFGS."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from nst_jax.solve.state import (
    Loss,
    State,
    acceptable,
    advance,
    initial_state,
    select,
)
from nst_jax.types import Image, Scalar


class Inner(NamedTuple):
    """Gradient at the current picture, optax's state, a factor on the step."""

    gradient: Image
    optax: Any
    factor: Scalar


class Adam(NamedTuple):
    """Solver (see ``solve.state.Solver``).

    Attributes:
        learning_rate: step in pixel values (of [0, 1]) per evaluation. 0.05 reaches
            a loss soonest in public measurements of style transfer.
    """

    learning_rate: float = 0.05

    def init(self, loss: Loss, picture: Image) -> State:
        """The state before the first evaluation."""
        terms = jax.eval_shape(loss, picture)[1]
        inner = Inner(
            jnp.zeros_like(picture),
            self._optax().init(picture),
            jnp.ones((), picture.dtype),
        )
        return initial_state(picture, terms, inner)

    def step(self, loss: Loss, state: State) -> State:
        """Move by Adam, then evaluate; a step that explodes is undone and halved."""
        inner, first = state.inner, state.evaluations == 0
        updates, moments = self._optax().update(
            inner.gradient, inner.optax, state.picture
        )
        # The first step evaluates the starting picture; its moments do not count.
        moments = select(first, inner.optax, moments)
        factor = jnp.where(first, 0, inner.factor)
        picture = state.picture + factor * jnp.asarray(updates)
        (total, terms), gradient = jax.value_and_grad(loss, has_aux=True)(picture)
        accepted = acceptable(picture, total, gradient, state)
        kept = Inner(
            jnp.where(accepted, gradient, inner.gradient),
            moments,
            jnp.where(accepted, jnp.minimum(1, inner.factor * 1.1), inner.factor / 2),
        )
        return advance(state, accepted, picture, terms, kept)

    def _optax(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate)
