"""The L-BFGS direction from stored pairs, in two passes over them.

The compact form of the inverse Hessian (Byrd, Nocedal and Schnabel 1994, section 3):
the pairs (s, y) meet the gradient in one pass, everything between is of the size of the
history, and one more pass adds the pairs up. The two-loop recursion (Nocedal and
Wright, algorithm 7.4) gives the same product in twice as many steps as there are pairs,
each waiting for the one before and reading and writing the vector again; in float32 it
also rounds ten times more.

Pairs lie in rows that are filled in turn, the oldest overwritten; only filled rows are
read. The inner products among them are kept; those of a new pair follow from the
gradient's, as its y is the change of the gradient.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jax.scipy.linalg import solve_triangular

from nst_jax.types import Scalar

# Measured on CPUs: rows that are added together, and parts that a sum is made of.
BLOCK = 4
STRETCHES = 16


class Products(NamedTuple):
    """Inner products of the stored pairs, indexed by their rows.

    Attributes:
        sy: (m, m), <s_i, y_j>; right where pair i is not newer than pair j.
        yy: (m, m), <y_i, y_j>.
        sg: (m,), <s_i, g> with the gradient of the last call.
        yg: (m,), <y_i, g>.
        count: pairs stored at the last call.
    """

    sy: jax.Array
    yy: jax.Array
    sg: jax.Array
    yg: jax.Array
    count: jax.Array


def packed(vector: jax.Array) -> jax.Array:
    """A float32 vector rounded to bfloat16, as uint16.

    XLA on the CPU computes nothing in bfloat16: arrays of that type it turns into
    float32 and back, whole.
    """
    rounded = jax.lax.reduce_precision(vector, 8, 7)
    bits = jax.lax.bitcast_convert_type(rounded, jnp.uint32) >> 16
    return bits.astype(jnp.uint16)


def unpacked(vector: jax.Array, dtype) -> jax.Array:
    """What was ``packed``, as float32; anything else as it is."""
    if vector.dtype != jnp.uint16:
        return vector
    bits = vector.astype(jnp.uint32) << 16
    return jax.lax.bitcast_convert_type(bits, jnp.float32).astype(dtype)


def no_products(history: int, dtype) -> Products:
    """Before there are pairs."""
    square, row = jnp.zeros((history, history), dtype), jnp.zeros(history, dtype)
    return Products(square, square, row, row, jnp.zeros((), jnp.int32))


def direction(
    gradient: jax.Array,
    s: jax.Array,
    y: jax.Array,
    rho: jax.Array,
    products: Products,
    gamma: Scalar,
    stored: jax.Array,
    *,
    reduced: jax.Array | None = None,
) -> tuple[jax.Array, Products]:
    """Minus the inverse Hessian times the gradient.

    Args:
        gradient: (n,).
        s: (m, n), steps; pair number k lies in row k % m. They and y may be of a lower
            precision than the gradient.
        y: (m, n), differences of gradients; that of a pair which is new since the last
            call is ``gradient`` less the gradient of that call, but for rounding.
        rho: (m,), 1 / <s_i, y_i>.
        products: as the last call returned them, or ``no_products``.
        gamma: the first inverse Hessian is this times the identity; with a new pair
            <s, y> / <y, y> of it.
        stored: pairs stored so far, those overwritten included; 0 begins anew.
        reduced: (n,), what to multiply with instead of the gradient, which still tells
            how the pairs have changed; it costs one pass more over them.

    Returns:
        The direction, (n,), and the products for the next call.
    """
    rows = len(s)
    # Oldest first. Lanes of a batch share the number of rows that are read.
    order = (jnp.maximum(stored - rows, 0) + jnp.arange(rows)) % rows
    live = jnp.arange(rows) < stored
    filled = _largest(jnp.minimum(stored, rows))

    def with_pairs(vector):
        return jnp.where(live[:, None], _products(s, y, vector, filled), 0.0)

    products = _with_newest(products, with_pairs(gradient), rho, gamma, stored)
    own, towards = products, gradient
    if reduced is not None:
        sg, yg = with_pairs(reduced).T
        own, towards = products._replace(sg=sg, yg=yg), reduced
    cs, cy = _coefficients(own, order, live, gamma)
    return _combine(-gamma * towards, s, y, jnp.stack([-cs, -cy]), filled), products


def _with_newest(products: Products, found, rho, gamma, stored) -> Products:
    """The new pair's column of <s_i, y>, row and column of <y_i, y>."""
    sg, yg = found.T
    newest = (stored - 1) % len(sg)
    curvature = 1 / jnp.where(stored > 0, rho[newest], 1.0)
    # y is the change of the gradient, so that these need no vectors. But for the pair
    # itself, the last call knew nothing of it.
    sy = (sg - products.sg).at[newest].set(curvature)
    yy = (yg - products.yg).at[newest].set(curvature / gamma)
    new = stored > products.count
    return Products(
        products.sy.at[:, newest].set(jnp.where(new, sy, products.sy[:, newest])),
        products.yy.at[:, newest]
        .set(jnp.where(new, yy, products.yy[:, newest]))
        .at[newest]
        .set(jnp.where(new, yy, products.yy[newest])),
        sg,
        yg,
        stored.astype(products.count.dtype),
    )


def _coefficients(products: Products, order, live, gamma):
    """What each s and each y counts in H g, by rows."""
    live = live[order]
    both = live[:, None] & live
    sy, yy = (x[order][:, order] for x in (products.sy, products.yy))
    sg, yg = products.sg[order], products.yg[order]
    upper = jnp.where(both, jnp.triu(sy), jnp.eye(len(live), dtype=sg.dtype))
    yy = jnp.where(both, yy, 0.0)
    first = solve_triangular(upper, sg)
    right = jnp.diag(upper) * first
    right += gamma * (jnp.matmul(yy, first, precision="highest") - yg)
    second = solve_triangular(upper, right, trans="T")
    back = jnp.zeros_like(sg)
    return back.at[order].set(second), back.at[order].set(-gamma * first)


def _products(s, y, vector, filled) -> jax.Array:
    """<s_i, v> and <y_i, v> for the filled rows i: (m, 2)."""

    def whole(s, y, vector, filled):
        both = [
            jnp.matmul(unpacked(x, vector.dtype), vector, precision="highest")
            for x in (s, y)
        ]
        return jnp.stack(both, axis=1)

    def by_rows(s, y, vector, filled):
        def body(row, found):
            values = [_row_dot(x, row, vector) for x in (s, y)]
            return found.at[row].set(jnp.stack(values))

        empty = jnp.zeros((len(s), 2), vector.dtype)
        return jax.lax.fori_loop(0, filled, body, empty)

    return jax.lax.platform_dependent(s, y, vector, filled, cpu=by_rows, default=whole)


def dot(a: jax.Array, b: jax.Array) -> jax.Array:
    """Inner product of two long vectors."""
    return _row_dot(a[None], 0, b)


def _row_dot(rows: jax.Array, row, vector: jax.Array) -> jax.Array:
    """Inner product of one row with a long vector.

    A plain sum on a CPU adds number by number, on one core. Stretches that are added as
    vectors are shared by vector units and cores, and short sums round less.
    """

    def product(at, length):
        part = jax.lax.dynamic_slice(rows, (row, at), (1, length))[0]
        return unpacked(part, vector.dtype) * vector[at : at + length]

    length = len(vector) // STRETCHES
    whole = STRETCHES * length
    rest = jnp.sum(product(whole, len(vector) - whole))
    if not length:
        return rest
    parts = [product(at, length) for at in range(0, whole, length)]
    return jnp.sum(sum(parts[1:], parts[0])) + rest


def _combine(start, s, y, weights, filled) -> jax.Array:
    """``start`` plus the filled rows, each times its weight in (2, m): (n,)."""

    def whole(start, s, y, weights, filled):
        parts = [
            jnp.matmul(weight, unpacked(x, start.dtype), precision="highest")
            for weight, x in zip(weights, (s, y), strict=True)
        ]
        return start + parts[0] + parts[1]

    def by_blocks(start, s, y, weights, filled):
        block = min(BLOCK, len(s))

        def body(index, total):
            at = jnp.minimum(index * block, len(s) - block)
            for row in range(block):
                # The last block begins early enough to be whole; a row counts once.
                of_s, of_y = jnp.where(
                    at + row >= index * block, weights[:, at + row], 0
                )
                pair_s, pair_y = (unpacked(x[at + row], total.dtype) for x in (s, y))
                total += of_s * pair_s + of_y * pair_y
            return total

        return jax.lax.fori_loop(0, -(-filled // block), body, start)

    return jax.lax.platform_dependent(
        start, s, y, weights, filled, cpu=by_blocks, default=whole
    )


@custom_vmap
def _largest(count: jax.Array) -> jax.Array:
    """``count``; under ``vmap`` the largest of the lanes, and the same for all."""
    return count


@_largest.def_vmap
def _(axis_size, in_batched, count):
    return jnp.max(count), False
