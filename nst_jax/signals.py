"""Ctrl-C and SIGTERM: the first asks a run to end, the second ends it.

Imports nothing slow: it must stand before jax is imported. A KeyboardInterrupt in the
middle of somebody's import may be swallowed there, or leave half a module behind.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


class Stop:
    """Whether a run was asked to end.

    Attributes:
        asked: whether it was.
        on_ask: called when that happens, from within the signal handler.
    """

    def __init__(self) -> None:
        self.asked = False
        self.on_ask: Callable[[], None] = lambda: None

    def check(self) -> None:
        """End at once if asked to: for when there is nothing yet worth saving.

        Raises:
            KeyboardInterrupt: if the run was asked to end.
        """
        if self.asked:
            raise KeyboardInterrupt

    def checking(
        self, progress: Callable[[int, int], None] | None
    ) -> Callable[[int, int], None]:
        """``progress``, by which a download ends if the run is asked to."""

        def show(done: int, total: int) -> None:
            self.check()
            if progress is not None:
                progress(done, total)

        return show


@contextlib.contextmanager
def stoppable() -> Iterator[Stop]:
    """Ctrl-C and SIGTERM ask to end; a second one raises KeyboardInterrupt.

    Outside the main thread signals are left alone, and so is one that is ignored, as
    Ctrl-C is for a job in the background.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number, frame) -> None:
        stop.check()
        stop.asked = True
        stop.on_ask()

    heeded = [
        s
        for s in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(s) is not signal.SIG_IGN
    ]
    previous = {number: signal.signal(number, ask) for number in heeded}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
