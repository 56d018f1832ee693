"""Array aliases and the records that several stages share.

Contracts, stated once:

* A picture is float32 sRGB with values in [0, 1], shape ``(h, w, 3)``, no batch
  axis; batches come from ``jax.vmap``.
* Features are a dict ``layer name -> (h, w, c)`` of rectified responses:
  ``conv4_2`` means the response after the ReLU, as in the papers, whose printed
  gradients vanish for F < 0 (Gatys et al. 2016, eq. 2 and 6).
* Params are a dict ``layer name -> {"kernel": (3, 3, in, out), "bias": (out,)}``.
"""

from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float

Image = Float[Array, "h w 3"]
FeatureMap = Float[Array, "h w c"]
Gram = Float[Array, "c c"]
Guide = Float[Array, "h w"]  # of the positions of a layer, in [0, 1]
Stencil = Float[Array, "5 5 h w"]  # a sparse matrix by pixel; images.matting
Scalar = Float[Array, ""]
Features = dict[str, jax.Array]
# jax.Device, which type checkers take for a variable.
Device = Any
Params = dict[str, dict[str, jax.Array]]


class LossTerms(NamedTuple):
    """The parts of the objective for one picture.

    ``total`` is the objective itself. The other terms carry no alpha, beta or tv
    weight: ``content`` and ``style`` are the sums over layers with the layer
    weights, ``content_layers`` and ``style_layers`` the bare loss of each layer.
    ``photorealism`` is None where the objective has no such term.
    """

    total: Scalar
    content: Scalar
    style: Scalar
    tv: Scalar
    content_layers: dict[str, jax.Array]
    style_layers: dict[str, jax.Array]
    photorealism: Scalar | None = None
