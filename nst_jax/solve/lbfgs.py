"""L-BFGS without a line search, made safe. The only file that names jaxopt.

jaxopt.LBFGS (Nocedal and Wright, algorithm 7.5) with step size 1 and a first step of
min(1, 1 / |g|_1), as ``torch.optim.LBFGS`` and every reference implementation of
style transfer use it. A line search would compile the network several times over
and, under ``vmap``, evaluate it several times per step.

Around it stands a branch-free safeguard. A step that gives a loss which is not
finite or far higher (``state.acceptable``) is undone, and the next one is four times
shorter; three refusals in a row drop the history. While every step is accepted the
iterates are exactly those of the unguarded method.
"""

import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from nst_jax.solve.state import (
    Loss,
    State,
    acceptable,
    advance,
    initial_state,
)
from nst_jax.types import Image, Scalar

with warnings.catch_warnings():
    # It says on import that it is no longer maintained. We know.
    warnings.simplefilter("ignore", DeprecationWarning)
    import jaxopt

SHORTEN = 4.0
LENGTHEN = 4.0
DROP_HISTORY_AFTER = 3
# A pair (s, y) is stored when the cosine of its angle exceeds this: below, rounding
# decides its sign, and a negative one would turn the direction uphill.
CURVATURE = 1e-6


class Inner(NamedTuple):
    """jaxopt's own state, and the step size the safeguard allows."""

    jaxopt: Any
    step_size: Scalar


class LBFGS(NamedTuple):
    """Solver (see ``solve.state.Solver``).

    Attributes:
        history: number of correction pairs m; memory is 24 (m + 1) h w bytes.
    """

    history: int = 20

    def init(self, loss: Loss, picture: Image) -> State:
        """The state before the first evaluation."""
        shapes = jax.eval_shape(self._jaxopt(loss, 1.0).init_state, picture)
        inner = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        # gamma = 0: the first step evaluates the starting picture and stays there.
        return initial_state(
            picture, shapes.aux, Inner(inner, jnp.ones((), picture.dtype))
        )

    def step(self, loss: Loss, state: State) -> State:
        """One evaluation at ``x - t H g``; accepted, or undone and shortened."""
        old = state.inner.jaxopt
        with jax.default_matmul_precision("highest"):
            picture, new = self._jaxopt(loss, state.inner.step_size).update(
                state.picture, old
            )
            accepted = acceptable(picture, new.value, new.grad, state)
            inner = self._guard(state, new, accepted)
        return advance(state, accepted, picture, new.aux, inner)

    def _jaxopt(self, loss: Loss, step_size) -> "jaxopt.LBFGS":
        # One row more than the history: the row that is written next is always a
        # dead one, so that a step which is undone costs no stored pair.
        return jaxopt.LBFGS(
            jax.value_and_grad(loss, has_aux=True),
            value_and_grad=True,
            has_aux=True,
            stepsize=lambda _: step_size,
            history_size=self.history + 1,
        )

    def _guard(self, state: State, new, accepted) -> Inner:
        old = state.inner.jaxopt
        row = old.iter_num % (self.history + 1)
        stored = accepted & self._curved(new, row)
        gradient = jnp.where(accepted, new.grad, old.grad)
        restart = ~accepted & ((state.refused_in_a_row + 1) % DROP_HISTORY_AFTER == 0)
        restart |= state.evaluations == 0  # after the first evaluation, begin
        first_gamma = jnp.minimum(1.0, 1 / jnp.maximum(_l1(gradient), _tiny(gradient)))
        # Where the curvature is negative no pair can be stored; with none at all the
        # step would stay at its cautious first length for ever.
        lost = accepted & ~jnp.any(old.rho_history != 0)
        gamma = jnp.where(lost, LENGTHEN * old.gamma, old.gamma)
        gamma = jnp.where(stored, new.gamma, gamma)
        step_size = jnp.where(accepted, 1.0, state.inner.step_size / SHORTEN)
        kept = new._replace(
            iter_num=jnp.where(stored, old.iter_num + 1, old.iter_num),
            value=jnp.where(accepted, new.value, old.value),
            grad=gradient,
            aux=jax.tree.map(lambda a, b: jnp.where(accepted, a, b), new.aux, old.aux),
            gamma=jnp.where(restart, first_gamma, gamma).astype(old.gamma.dtype),
            rho_history=self._live_rows(new.rho_history, row, stored, restart),
            # Whole rows are written, never whole histories: that would copy them.
            s_history=_clear_row(new.s_history, row, stored),
            y_history=_clear_row(new.y_history, row, stored),
        )
        return Inner(
            jax.tree.map(lambda a, b: a.astype(b.dtype), kept, old),
            step_size.astype(state.inner.step_size.dtype),
        )

    def _curved(self, new, row) -> jax.Array:
        s, y = new.s_history[row], new.y_history[row]
        sy = jnp.vdot(s, y)
        return sy > CURVATURE * jnp.sqrt(jnp.vdot(s, s) * jnp.vdot(y, y))

    def _live_rows(self, rho, row, stored, restart) -> jax.Array:
        """rho = 0 marks a dead row, which the two-loop recursion passes over."""
        dead = jnp.where(stored, (row + 1) % (self.history + 1), row)
        return jnp.where(restart, 0.0, rho.at[dead].set(0.0))


def _clear_row(history, row, keep) -> jax.Array:
    # rho = 0 alone does not silence a row that holds inf or nan.
    return history.at[row].set(jnp.where(keep, history[row], 0.0))


def _l1(x) -> Scalar:
    return jnp.sum(jnp.abs(x))


def _tiny(x) -> float:
    return float(jnp.finfo(x.dtype).tiny)
