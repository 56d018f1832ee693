"""A network that sees pictures in shades of gray."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from nst_jax.types import Features, Image


class Gray(NamedTuple):
    """A network that is shown the mean over a picture's channels, three times.

    The gradient then has three equal channels, too: a run that starts from gray stays
    gray to the bit, instead of spending its freedom on colours that nobody will see.

    Attributes:
        network: ``(params, picture, layers) -> features``, hashable.
    """

    network: Any

    def __call__(self, params, picture: Image, layers: tuple[str, ...]) -> Features:
        """Responses of the network; see there."""
        gray = jnp.mean(picture, axis=-1, keepdims=True)
        return self.network(params, jnp.broadcast_to(gray, picture.shape), layers)
