"""The machine a run is on: its devices."""

import contextlib
from collections.abc import Iterator

import jax

from nst_jax.types import Device


@contextlib.contextmanager
def on_device(wanted: str | None) -> Iterator[Device]:
    """Make a device the default, and say which it is; see ``find_device``."""
    device = find_device(wanted)
    with jax.default_device(device):
        yield device


def find_device(wanted: str | None) -> Device:
    """The device called "cpu", "gpu", "tpu" or "gpu:1"; the best there is if None.

    Raises:
        ValueError: if there is no such device; lists those there are.
    """
    try:
        seen = jax.devices()
    except (RuntimeError, AssertionError) as error:
        # As with JAX_PLATFORMS=cuda and no GPU; JAX asserts that there is a device.
        raise ValueError(
            "JAX finds no device to run on; see whether JAX_PLATFORMS is set"
        ) from error
    if wanted is None:
        return seen[0]
    platform, colon, number = wanted.lower().partition(":")
    try:
        if not platform or (colon and not number.isdecimal()):
            raise ValueError(wanted)
        return jax.devices(platform)[int(number or 0)]
    except (RuntimeError, IndexError, ValueError) as error:
        names = ", ".join(f"{d.platform}:{d.id}" for d in seen)
        raise ValueError(
            f"device {wanted!r} is not there; JAX sees {names} (for a GPU or TPU "
            "install nst-jax[cuda] or nst-jax[tpu])"
        ) from error
