"""Convolutions rewritten so that XLA's CPU convolution does less, or wider, work.

Both rewrites end in ordinary convolutions, which is what XLA's CPU backend is good
at; nothing but small sums and slices is added around them.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

# F(2, 3): 4 products instead of 6 for 2 outputs of 3 taps. Its rounding errors are
# those of a sum; in bfloat16 those of F(4, 3) are five times larger.
_INPUT_2 = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
_KERNEL_2 = ((1, 0, 0), (1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (0, 0, 1))
_OUTPUT_2 = ((1, 1, 1, 0), (0, 1, -1, -1))

# F(4, 3) of Lavin and Gray 2016 ("Fast Algorithms for Convolutional Neural Networks",
# section 4.1): 6 products instead of 12 for 4 outputs of 3 taps.
_INPUT = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_KERNEL = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_OUTPUT = (
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)

Padding = tuple[tuple[int, int], tuple[int, int]]


def convolve(inputs, kernel, padding: Padding, *, strides=(1, 1), precision=None):
    """The plain convolution of ``(n, h, w, in)`` with ``(kh, kw, in, out)``."""
    return lax.conv_general_dilated(
        inputs, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=precision,
    )  # fmt: skip


def winograd(
    inputs, kernel, padding: Padding, *, columns: int = 1, precision=None
) -> jax.Array:
    """``convolve`` for 3 x 3 kernels, with half the products.

    Winograd's F(4, 3) goes down the rows only: each of its 6 products is a
    convolution with a 1 x 3 kernel on a quarter of the rows. The two-dimensional form
    has fewer products yet, but moves 2.25 times the inputs to turn them into matrices
    and back: it is slower, and its float32 error is four times larger.

    Args:
        columns: neighbouring outputs that are computed as one, see ``side_by_side``.
    """
    product = partial(
        side_by_side,
        padding=((0, 0), padding[1]),
        columns=columns,
        precision=precision,
    )
    return _down_the_rows((_INPUT, _KERNEL, _OUTPUT), inputs, kernel, padding, product)


def winograd_bfloat16(inputs, kernel, padding: Padding) -> jax.Array:
    """``convolve`` for 3 x 3 kernels, of bfloat16 products and float32 sums.

    Winograd's F(2, 3) down the rows, its products as matrices: XLA gives bfloat16
    matrices to the processor's matrix unit (AMX), and bfloat16 convolutions to none.
    """
    left, right = padding[1]

    def product(rows, taps):
        rows = jnp.pad(rows, ((0, 0), (0, 0), (left, right), (0, 0)))
        width = rows.shape[2] - 2
        terms = [
            lax.dot_general(
                rows[:, :, i : i + width].astype(jnp.bfloat16),
                taps[0, i].astype(jnp.bfloat16),
                (((3,), (0,)), ((), ())),
                preferred_element_type=jnp.float32,
            )
            for i in range(3)
        ]
        return terms[0] + terms[1] + terms[2]

    scheme = (_INPUT_2, _KERNEL_2, _OUTPUT_2)
    return _down_the_rows(scheme, inputs, kernel, padding, product)


def _down_the_rows(scheme, inputs, kernel, padding: Padding, product) -> jax.Array:
    to_inputs, to_kernel, to_outputs = scheme
    (above, below), tile = padding[0], len(to_outputs)
    height = inputs.shape[1] + above + below - 2
    tiles = -(-height // tile)
    beyond = below + tiles * tile - height
    padded = jnp.pad(inputs, ((0, 0), (above, beyond), (0, 0), (0, 0)))
    last = (tiles - 1) * tile + 1
    rows = [padded[:, i : i + last : tile] for i in range(tile + 2)]
    taps = [kernel[i : i + 1] for i in range(3)]
    pairs = zip(_combine(to_inputs, rows), _combine(to_kernel, taps), strict=True)
    products = [product(x, k) for x, k in pairs]
    outputs = jnp.stack(_combine(to_outputs, products), axis=2)
    n, _, _, width, channels = outputs.shape
    return outputs.reshape(n, tiles * tile, width, channels)[:, :height]


def side_by_side(
    inputs, kernel, padding: Padding, *, columns: int, precision=None
) -> jax.Array:
    """``convolve`` that computes ``columns`` neighbouring outputs as one.

    The kernel is repeated, shifted by a column each, as further output channels of a
    wider kernel with a stride: more products, but in the wide rows of numbers that
    processors want, where a layer has few channels. ``columns=1`` is ``convolve``.
    """
    if columns == 1:
        return convolve(inputs, kernel, padding, precision=precision)
    (above, below), (left, right) = padding
    height, taps, n_in, n_out = kernel.shape
    width = inputs.shape[2] + left + right - taps + 1
    steps = -(-width // columns)
    beyond = right + steps * columns - width
    shifted = [
        jnp.pad(kernel, ((0, 0), (i, columns - 1 - i), (0, 0), (0, 0)))
        for i in range(columns)
    ]
    wide = jnp.stack(shifted, axis=3).reshape(
        height, taps + columns - 1, n_in, columns * n_out
    )
    outputs = convolve(
        inputs, wide, ((above, below), (left, beyond)), strides=(1, columns),
        precision=precision,
    )  # fmt: skip
    n, rows = outputs.shape[:2]
    return outputs.reshape(n, rows, steps * columns, n_out)[:, :, :width]


def _combine(matrix, arrays: list[jax.Array]) -> list[jax.Array]:
    """``matrix @ arrays``, written out: most of its entries are 0 or 1."""
    rows = []
    for row in matrix:
        terms = [_times(c, x) for c, x in zip(row, arrays, strict=True) if c]
        rows.append(sum(terms[1:], terms[0]))
    return rows


def _times(factor: float, x: jax.Array) -> jax.Array:
    if factor == 1:
        return x
    return -x if factor == -1 else factor * x
