"""The one convolution of the project.

On the CPU, XLA runs the input gradient that JAX derives for a convolution with a
naive kernel whenever it stands inside a loop or a conditional, which is where a
solver puts it: 4 to 10 times slower for VGG-19. The gradient below is an ordinary
convolution with the flipped, transposed kernel, which takes the fast path
everywhere. It is the same sum, term by term.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")


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
    return lax.conv_general_dilated(
        inputs, kernel, (1, 1), padding, dimension_numbers=_DIMENSIONS,
        precision=precision,
    )  # fmt: skip


def _conv_forward(padding, precision, inputs, kernel):
    return _conv(padding, precision, inputs, kernel), kernel


def _conv_backward(padding, precision, kernel, cotangent):
    flipped = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    if padding == "VALID":
        padding = [(size - 1, size - 1) for size in kernel.shape[:2]]
    inputs_bar = lax.conv_general_dilated(
        cotangent, flipped, (1, 1), padding, dimension_numbers=_DIMENSIONS,
        precision=precision,
    )  # fmt: skip
    return inputs_bar, jnp.full_like(kernel, jnp.nan)


_conv.defvjp(_conv_forward, _conv_backward)
