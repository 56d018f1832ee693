"""L-BFGS without a line search, made safe. The only file that names jaxopt.

jaxopt.LBFGS (Nocedal and Wright, algorithm 7.5) with step size 1 and a first step of
min(1, 1 / |g|_1), as ``torch.optim.LBFGS`` and every reference implementation of
style transfer use it. A line search would compile the network several times over
and, under ``vmap``, evaluate it several times per step.

jaxopt reads every row of its history at each step, filled or not, one after another.
Here the direction is the same product in two passes (``solve.direction``), and the loss
is evaluated directly. The state is jaxopt's, of the picture as one long vector, and
jaxopt's own product is what the tests compare with.

The vector is not the picture itself but its coordinates in a basis that favours large
forms (``solve.preconditioner``): another first inverse Hessian, the same minima. And
the pairs may be kept in bfloat16, as their bytes are what a step costs. A rounded pair
is one of a slightly different function.

Around it stands a branch-free safeguard. A step that gives a loss which is not
finite or far higher (``state.acceptable``) is undone, and the next one is four times
shorter; three refusals in a row drop the history and go back to the best picture. While
every step is accepted the iterates are exactly those of the unguarded method.
"""

import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from nst_jax.solve.direction import (
    Products,
    direction,
    dot,
    no_products,
    packed,
    unpacked,
)
from nst_jax.solve.preconditioner import precondition
from nst_jax.solve.state import (
    Loss,
    State,
    acceptable,
    advance,
    initial_state,
    into_box,
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
        jaxopt: ``LbfgsState``; gradient and pairs are vectors of n = 3 h w numbers, the
            picture's coordinates in the solver's basis; histories are (m, n), pair
            number k in row k % m; ``iter_num`` counts the stored pairs.
        products: inner products of the stored pairs.
        step_size: the step size the safeguard allows.
        best_gradient: (n,), gradient at the best picture, where a restart begins.
    """

    jaxopt: Any
    products: Products
    step_size: Scalar
    best_gradient: jax.Array


class Pair(NamedTuple):
    """What a step changed, in the solver's basis: the picture by s, the gradient by y.

    Attributes:
        s: (n,).
        y: (n,).
        rho: 1 / <s, y>.
        gamma: <s, y> / <y, y>.
        curved: whether the pair may be stored.
    """

    s: jax.Array
    y: jax.Array
    rho: Scalar
    gamma: Scalar
    curved: jax.Array


class LBFGS(NamedTuple):
    """Solver (see ``solve.state.Solver``).

    Attributes:
        history: number of correction pairs m; memory is 24 m h w bytes, half of that
            if they are rounded.
        preconditioned: whether the pixels are put into the basis of
            ``solve.preconditioner``.
        rounded: whether pairs are kept in bfloat16; for float32 pictures.
        box: whether pixels are kept in [0, 1] by projection (Bertsekas 1982, "Projected
            Newton Methods for Optimization Problems with Simple Constraints"). Pixels
            at a bound that the gradient pushes outwards stand still: the inverse
            Hessian is taken between the others only, without which a projected step
            need not lead down. What projected pictures and their whole gradients
            differ by are pairs like any other. Departure: which pixels stand still is
            seen at the bounds themselves, not near them; the safeguard stays.
    """

    history: int = 40
    preconditioned: bool = True
    rounded: bool = False
    box: bool = False

    def init(self, loss: Loss, picture: Image) -> State:
        """The state before the first evaluation."""
        picture = into_box(picture, self.box)

        def flat(vector):
            return loss(vector.reshape(picture.shape))

        solver = jaxopt.LBFGS(flat, has_aux=True, history_size=self.history)
        shapes = jax.eval_shape(solver.init_state, picture.ravel())
        # As they are kept from the start: a history of zeros in float32 that is then
        # rounded would be the largest array of the run.
        kept = jax.eval_shape(self._packed, shapes.s_history)
        shapes = shapes._replace(s_history=kept, y_history=kept)
        inner = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        products = no_products(self.history, picture.dtype)
        # gamma = 0: the first step evaluates the starting picture and stays there.
        one = jnp.ones((), picture.dtype)
        return initial_state(
            picture, shapes.aux, Inner(inner, products, one, inner.grad)
        )

    def step(self, loss: Loss, state: State) -> State:
        """One evaluation at ``x - t H g``; accepted, or undone and shortened."""
        inner, old = state.inner, state.inner.jaxopt
        free = self._free(state)
        towards, products = direction(
            old.grad, old.s_history, old.y_history, old.rho_history, inner.products,
            old.gamma, old.iter_num, reduced=self._reduced(old.grad, free),
        )  # fmt: skip
        move = inner.step_size * towards
        picture, move = self._moved(state.picture, move, free)
        (total, terms), slope = jax.value_and_grad(loss, has_aux=True)(picture)
        accepted = acceptable(picture, total, slope, state)
        slope = self._to_pixels(slope).ravel()
        drop = ~accepted & ((state.refused_in_a_row + 1) % DROP_HISTORY_AFTER == 0)
        better = accepted & (total < state.best_terms.total)
        best_gradient = jnp.where(better, slope, inner.best_gradient)
        gradient = jnp.where(accepted, slope, old.grad)
        gradient = jnp.where(drop, best_gradient, gradient)
        # After the first evaluation there is nothing to drop, but all to begin.
        begin = drop | (state.evaluations == 0)
        pair = _pair(*map(self._rounded, (move, slope - old.grad)))
        kept = self._history(old, pair, gradient, accepted, begin)
        step_size = jnp.where(accepted, 1.0, inner.step_size / SHORTEN)
        step_size = step_size.astype(inner.step_size.dtype)
        kept = Inner(kept, products, step_size, best_gradient)
        state = advance(state, accepted, picture, terms, kept)
        return state._replace(
            picture=jnp.where(drop, state.best_picture, state.picture),
            terms=select(drop, state.best_terms, state.terms),
        )

    def _free(self, state: State) -> jax.Array | None:
        """Which pixels may move, (h, w, 3) of bools; None: all of them."""
        if not self.box:
            return None
        picture = state.picture
        slope = self._from_basis(state.inner.jaxopt.grad.reshape(picture.shape))
        return ~((picture <= 0) & (slope > 0) | (picture >= 1) & (slope < 0))

    def _reduced(self, gradient: jax.Array, free: jax.Array | None):
        """The gradient of the pixels that may move, (n,); None: the whole one."""
        if free is None:
            return None
        slope = self._from_basis(gradient.reshape(free.shape))
        return self._to_pixels(jnp.where(free, slope, 0.0)).ravel()

    def _moved(self, picture: Image, move: jax.Array, free: jax.Array | None):
        """The next picture, and the move to it in the solver's basis, (n,)."""
        step = self._to_pixels(move.reshape(picture.shape))
        if free is None:
            return picture + step, move
        there = into_box(picture + jnp.where(free, step, 0.0), self.box)
        return there, self._from_basis(there - picture).ravel()

    def _to_pixels(self, vector: Image) -> Image:
        return precondition(vector) if self.preconditioned else vector

    def _from_basis(self, vector: Image) -> Image:
        return precondition(vector, inverse=True) if self.preconditioned else vector

    def _rounded(self, vector: jax.Array) -> jax.Array:
        return unpacked(self._packed(vector), vector.dtype)

    def _packed(self, vector: jax.Array) -> jax.Array:
        return packed(vector) if self.rounded else vector

    def _history(self, old, pair: Pair, gradient, accepted, begin):
        """jaxopt's next state: the pair stored or not, gamma chosen."""
        row = old.iter_num % self.history
        stored = accepted & ~begin & pair.curved

        def write(history, value):
            # Whole rows are written, never whole histories: that would copy them.
            return history.at[row].set(jnp.where(stored, value, history[row]))

        return old._replace(
            iter_num=jnp.where(begin, 0, old.iter_num + stored),
            grad=gradient,
            gamma=_gamma(old, pair, gradient, accepted, stored, begin),
            rho_history=jnp.where(begin, 0.0, write(old.rho_history, pair.rho)),
            s_history=write(old.s_history, self._packed(pair.s)),
            y_history=write(old.y_history, self._packed(pair.y)),
        )


def _pair(s: jax.Array, y: jax.Array) -> Pair:
    ss, sy, yy = dot(s, s), dot(s, y), dot(y, y)
    rho, gamma = 1 / sy, sy / yy
    curved = sy > CURVATURE * jnp.sqrt(ss * yy)
    return Pair(s, y, rho, gamma, curved & jnp.isfinite(rho) & jnp.isfinite(gamma))


def _gamma(old, pair: Pair, gradient, accepted, stored, begin) -> Scalar:
    """Scale of the first inverse Hessian."""
    # Where the curvature is negative no pair can be stored; with none at all the step
    # would stay at its cautious first length for ever.
    lost = accepted & (old.iter_num == 0)
    gamma = jnp.where(lost, LENGTHEN * old.gamma, old.gamma)
    gamma = jnp.where(stored, pair.gamma, gamma)
    l1 = jnp.sum(jnp.abs(gradient))
    first = jnp.minimum(1.0, 1 / jnp.maximum(l1, jnp.finfo(l1.dtype).tiny))
    return jnp.where(begin, first, gamma).astype(old.gamma.dtype)
