"""The machine a run is on: its devices and its signals."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

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
    if wanted is None:
        return jax.devices()[0]
    platform, _, number = wanted.partition(":")
    try:
        return jax.devices(platform)[int(number or 0)]
    except (RuntimeError, IndexError, ValueError) as error:
        seen = ", ".join(f"{d.platform}:{d.id}" for d in jax.devices())
        raise ValueError(
            f"device {wanted!r} is not there; JAX sees {seen} (for a GPU or TPU "
            "install nst-jax[cuda] or nst-jax[tpu])"
        ) from error


@contextlib.contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM ask the run to end with what it has; a second Ctrl-C kills.

    Outside the main thread signals are left alone.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def ask(number, frame) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    previous = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
