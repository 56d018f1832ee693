"""L-BFGS without a line search, made safe. The only file that names jaxopt.

jaxopt.LBFGS (Nocedal and Wright, algorithm 7.5) with step size 1 and a first step of
min(1, 1 / |g|_1), as ``torch.optim.LBFGS`` and every reference implementation of
style transfer use it. A line search would compile the network several times over
and, under ``vmap``, evaluate it several times per step.

Around it stands a branch-free safeguard. A step that gives a loss which is not
finite or far higher (``state.acceptable``) is undone, and the next one is four times
shorter; three refusals in a row drop the history and go back to the best picture. While
every step is accepted the iterates are exactly those of the unguarded method.
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
    select,
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
    """jaxopt's own state, and what the safeguard needs.

    Attributes:
        jaxopt: ``LbfgsState`` at the current picture.
        step_size: the step size the safeguard allows.
        best_gradient: gradient at the best picture, where a restart begins.
    """

    jaxopt: Any
    step_size: Scalar
    best_gradient: Image


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
        one = jnp.ones((), picture.dtype)
        return initial_state(
            picture, shapes.aux, Inner(inner, one, jnp.zeros_like(picture))
        )

    def step(self, loss: Loss, state: State) -> State:
        """One evaluation at ``x - t H g``; accepted, or undone and shortened."""
        inner = state.inner
        with jax.default_matmul_precision("highest"):
            picture, new = self._jaxopt(loss, inner.step_size).update(
                state.picture, inner.jaxopt
            )
            accepted = acceptable(picture, new.value, new.grad, state)
            drop = ~accepted & ((state.refused_in_a_row + 1) % DROP_HISTORY_AFTER == 0)
            better = accepted & (new.value < state.best_terms.total)
            best_gradient = jnp.where(better, new.grad, inner.best_gradient)
            gradient = jnp.where(accepted, new.grad, inner.jaxopt.grad)
            gradient = jnp.where(drop, best_gradient, gradient)
            # After the first evaluation there is nothing to drop, but all to begin.
            begin = drop | (state.evaluations == 0)
            kept = self._history(inner.jaxopt, new, gradient, accepted, begin)
        step_size = jnp.where(accepted, 1.0, inner.step_size / SHORTEN)
        kept = Inner(kept, step_size.astype(inner.step_size.dtype), best_gradient)
        state = advance(state, accepted, picture, new.aux, kept)
        return state._replace(
            picture=jnp.where(drop, state.best_picture, state.picture),
            terms=select(drop, state.best_terms, state.terms),
        )

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

    def _history(self, old, new, gradient, accepted, begin):
        """jaxopt's next state: the new pair stored or silenced, gamma chosen."""
        row = old.iter_num % (self.history + 1)
        stored = accepted & ~begin & self._curved(new, row)
        kept = new._replace(
            iter_num=jnp.where(stored, old.iter_num + 1, old.iter_num),
            value=jnp.zeros_like(old.value),  # ours is State.terms
            grad=gradient,
            aux=old.aux,
            gamma=_gamma(old, new, gradient, accepted, stored, begin),
            rho_history=self._live_rows(new.rho_history, row, stored, begin),
            # Whole rows are written, never whole histories: that would copy them.
            s_history=_clear_row(new.s_history, row, stored),
            y_history=_clear_row(new.y_history, row, stored),
        )
        return jax.tree.map(lambda a, b: a.astype(b.dtype), kept, old)

    def _curved(self, new, row) -> jax.Array:
        s, y = new.s_history[row], new.y_history[row]
        sy = jnp.vdot(s, y)
        return sy > CURVATURE * jnp.sqrt(jnp.vdot(s, s) * jnp.vdot(y, y))

    def _live_rows(self, rho, row, stored, begin) -> jax.Array:
        """rho = 0 marks a dead row, which the two-loop recursion passes over."""
        dead = jnp.where(stored, (row + 1) % (self.history + 1), row)
        return jnp.where(begin, 0.0, rho.at[dead].set(0.0))


def _gamma(old, new, gradient, accepted, stored, begin) -> Scalar:
    """Scale of the first inverse Hessian."""
    # Where the curvature is negative no pair can be stored; with none at all the step
    # would stay at its cautious first length for ever.
    lost = accepted & ~jnp.any(old.rho_history != 0)
    gamma = jnp.where(lost, LENGTHEN * old.gamma, old.gamma)
    gamma = jnp.where(stored, new.gamma, gamma)
    l1 = jnp.sum(jnp.abs(gradient))
    first = jnp.minimum(1.0, 1 / jnp.maximum(l1, jnp.finfo(l1.dtype).tiny))
    return jnp.where(begin, first, gamma)


def _clear_row(history, row, keep) -> jax.Array:
    # rho = 0 alone does not silence a row that holds inf or nan.
    return history.at[row].set(jnp.where(keep, history[row], 0.0))
