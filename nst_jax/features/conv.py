"""The one convolution of the project, and how the CPU computes it.

On the CPU, XLA runs the input gradient that JAX derives for a convolution with a
naive kernel whenever it stands inside a loop or a conditional, which is where a
solver puts it: 4 to 10 times slower for VGG-19. The gradient below is an ordinary
convolution with the flipped, transposed kernel, which takes the fast path
everywhere. It is the same sum, term by term.

Many convolutions are then written in a form that the CPU computes in up to half the
time (``winograd``), by a rule on their shapes; on other devices they stay as they
are. The rule, and milliseconds on two cores with AVX-512 and AMX, plain and then as
written, at rows x columns, channels in -> out:

* 3 channels on one side: four columns at once. 384 x 512, 3 -> 16: 5.5, 1.4;
  16 -> 3: 10.2, 3.9; 256 x 256, 3 -> 64 and 64 -> 3: equal.
* many products (below, the longer program takes more to compile than a run gains)
  and many positions (below, it takes more to transform the kernel than is gained):
  Winograd's F(4, 3). 64 x 64, 256 -> 256: 16.5, 7.1; 128 x 128, 128 -> 128: 16.5,
  7.7; 256 x 256, 64 -> 64: 15.9, 10.0; 192 x 256, 32 -> 32: 4.5, 2.4; with 16
  channels out, two columns at once besides: 384 x 512, 16 -> 16: 7.5, 4.4.
* in bfloat16, with many channels on both sides: F(2, 3) as bfloat16 matrices.
  64 x 64, 256 -> 256: 16.5, 2.9; 32 x 32, 512 -> 512: 18.7, 3.7. With fewer channels
  float32 is quicker.
"""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from nst_jax.features.winograd import (
    convolve,
    side_by_side,
    winograd,
    winograd_bfloat16,
)

LEAST_PRODUCTS = 100_000_000
LEAST_POSITIONS = 1_500
FEW, NARROW, MANY = 4, 16, 192  # channels


def frozen_conv(
    inputs: jax.Array,
    kernel: jax.Array,
    window_strides,
    padding,
    *,
    lhs_dilation=None,
    rhs_dilation=None,
    dimension_numbers=None,
    feature_group_count: int = 1,
    precision=None,
) -> jax.Array:
    """Stride-1 convolution with a frozen kernel, for ``flax.linen.Conv``.

    Takes the arguments that ``flax.linen.Conv(conv_general_dilated=...)`` passes.
    Its gradient with respect to the kernel is not defined and comes out as NaN, so
    that training with it by mistake is noticed at once.

    Args:
        inputs: ``(n, h, w, in)``.
        kernel: ``(kh, kw, in, out)`` with odd kh and kw.
        padding: "SAME" or "VALID".
        precision: as for ``jax.lax.conv_general_dilated``; or "bfloat16", which lets
            the CPU multiply in bfloat16 (other devices: their default precision).

    Raises:
        ValueError: for strides, dilations, groups or paddings it does not know.
    """
    del dimension_numbers  # linen.Conv always means NHWC, HWIO
    dilations = (*(lhs_dilation or ()), *(rhs_dilation or ()))
    if {*window_strides, *dilations, feature_group_count} != {1}:
        raise ValueError("frozen_conv knows only stride 1, no dilation, one group")
    if padding not in ("SAME", "VALID"):
        raise ValueError(f"frozen_conv: padding must be SAME or VALID, not {padding!r}")
    return _conv(padding, precision, inputs, kernel)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _conv(padding, precision, inputs, kernel):
    rows, columns = kernel.shape[0] // 2, kernel.shape[1] // 2
    same = ((rows, rows), (columns, columns))
    widths = same if padding == "SAME" else ((0, 0), (0, 0))
    return _convolve(inputs, kernel, widths, precision)


def _conv_forward(padding, precision, inputs, kernel):
    return _conv(padding, precision, inputs, kernel), kernel


def _conv_backward(padding, precision, kernel, cotangent):
    flipped = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    rows, columns = kernel.shape[0] - 1, kernel.shape[1] - 1
    if padding == "SAME":
        rows, columns = rows // 2, columns // 2
    widths = ((rows, rows), (columns, columns))
    inputs_bar = _convolve(cotangent, flipped, widths, precision)
    return inputs_bar, jnp.full_like(kernel, jnp.nan)


_conv.defvjp(_conv_forward, _conv_backward)


def _convolve(inputs, kernel, padding, precision):
    half = precision == "bfloat16"
    options = {"padding": padding, "precision": None if half else precision}
    plain = partial(convolve, **options)
    if inputs.dtype == jnp.bfloat16 or kernel.shape[:2] != (3, 3):
        return plain(inputs, kernel)
    if half and min(kernel.shape[2:]) >= MANY:
        quick = partial(winograd_bfloat16, padding=padding)
    elif (method := _quick(inputs.shape, kernel.shape)) is convolve:
        return plain(inputs, kernel)
    else:
        quick = partial(method, **options)
    return lax.platform_dependent(inputs, kernel, cpu=quick, default=plain)


def _quick(inputs: tuple[int, ...], kernel: tuple[int, ...]) -> Callable:
    """What the CPU computes a 3 x 3 convolution of these shapes with."""
    positions, (n_in, n_out) = math.prod(inputs[:3]), kernel[2:]
    if min(n_in, n_out) <= FEW:
        return partial(side_by_side, columns=4)
    if positions < LEAST_POSITIONS or positions * math.prod(kernel) < LEAST_PRODUCTS:
        return convolve
    return partial(winograd, columns=2 if n_out <= NARROW else 1)
