import os
import signal
import threading

import pytest

from nst_jax.signals import stoppable

posix_only = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@posix_only
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_stops(number):
    calls, before = [], signal.getsignal(number)
    with stoppable() as stop:
        stop.on_ask = lambda: calls.append(1)
        stop.check()
        assert not stop.asked
        signal.raise_signal(number)
        assert stop.asked
        assert calls == [1]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert calls == [1]
        with pytest.raises(KeyboardInterrupt):
            stop.check()
    assert signal.getsignal(number) == before


@posix_only
def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stoppable() as stop:
            signal.raise_signal(signal.SIGINT)
            assert not stop.asked
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_the_main_thread_signals_are_left_alone():
    before, seen = signal.getsignal(signal.SIGINT), []

    def body():
        with stoppable():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [before]
