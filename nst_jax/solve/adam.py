"""Adam (Kingma and Ba 2015) from optax, with the same safety net as L-BFGS."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from nst_jax.solve.state import (
    AVERAGE,
    Loss,
    State,
    acceptable,
    advance,
    initial_state,
    into_box,
    select,
)
from nst_jax.types import Image, Scalar


class Average(NamedTuple):
    """Decaying sum of the pictures so far, and what is missing of a whole mean."""

    sum: Image
    missing: Scalar


class Inner(NamedTuple):
    """Gradient at the current picture, optax's state, a factor on the step, and the
    average of pictures if one is made.
    """

    gradient: Image
    optax: Any
    factor: Scalar
    average: Average | None = None


class Adam(NamedTuple):
    """Solver (see ``solve.state.Solver``).

    Attributes:
        learning_rate: step in pixel values (of [0, 1]) per evaluation. 0.05 reaches
            a loss soonest in public measurements of style transfer.
        average: decay of a mean of the pictures on the way, 0.99 say, which is handed
            out instead of the best one; None: no mean. As K. Crowson's
            style-transfer-pytorch does it: started from zero and divided by the weight
            it has, so that the first picture does not linger. It costs no evaluation:
            losses stay those of the pictures that were evaluated.
        box: whether each picture is brought back into [0, 1], as there.
    """

    learning_rate: float = 0.05
    average: float | None = None
    box: bool = False

    def init(self, loss: Loss, picture: Image) -> State:
        """The state before the first evaluation."""
        picture = into_box(picture, self.box)
        terms = jax.eval_shape(loss, picture)[1]
        one = jnp.ones((), picture.dtype)
        inner = Inner(
            jnp.zeros_like(picture),
            self._optax().init(picture),
            one,
            None if self.average is None else Average(jnp.zeros_like(picture), one),
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
        picture = into_box(state.picture + factor * jnp.asarray(updates), self.box)
        (total, terms), gradient = jax.value_and_grad(loss, has_aux=True)(picture)
        accepted = acceptable(picture, total, gradient, state)
        kept = Inner(
            jnp.where(accepted, gradient, inner.gradient),
            moments,
            jnp.where(accepted, jnp.minimum(1, inner.factor * 1.1), inner.factor / 2),
            inner.average,
        )
        return self._averaged(advance(state, accepted, picture, terms, kept), accepted)

    def _averaged(self, state: State, accepted: jax.Array) -> State:
        """The state with the average to be handed out, if there is to be one."""
        if self.average is None:
            return state
        old, decay = state.inner.average, self.average
        new = Average(
            decay * old.sum + (1 - decay) * state.picture, decay * old.missing
        )
        new = select(accepted, new, old)
        # Nothing is in it while the start itself cannot be evaluated.
        mean = new.sum / jnp.where(new.missing < 1, 1 - new.missing, 1)
        return state._replace(
            best_picture=jnp.where(new.missing < 1, mean, state.picture),
            best_terms=state.terms,
            best_step=jnp.full_like(state.best_step, AVERAGE),
            inner=state.inner._replace(average=new),
        )

    def _optax(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate)
