"""What is compiled once is not compiled again: in this process, and in the next."""

from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import stylize
from nst_jax.features.random_weights import random_weights
from nst_jax.features.weights import write
from nst_jax.host import use_compile_cache
from nst_jax.solve import loop
from nst_jax.solve.adam import Adam
from nst_jax.types import LossTerms

SIZE = 40
COMPILED = "/jax/core/compile/backend_compile_duration"


@contextmanager
def counted():
    """Programs that are compiled, or read from a cache, inside."""
    seen = []

    def listen(name, seconds, **_):
        if name == COMPILED:
            seen.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield seen
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Two networks of the same shape."""
    files = []
    for seed in (0, 1):
        files.append(tmp_path_factory.mktemp("weights") / f"{seed}.h5")
        random = random_weights("vgg19", seed=seed, width=1 / 32, deepest="conv2_1")
        write(files[-1], random)
    return files


def noise(seed):
    return np.random.default_rng(seed).random((SIZE, SIZE, 3), np.float32)


@pytest.fixture(scope="module")
def run(weights):
    def run(*, content=0, style=1, network=0, seed=0, solver=None, **objective):
        return stylize(
            noise(content),
            noise(style),
            size=SIZE,
            seed=seed,
            start="noise",
            network={"weights": str(weights[network])},
            objective={
                "content_layers": ["conv2_1"],
                "style_layers": ["conv1_1", "conv2_1"],
                **objective,
            },
            solver={"iterations": 3, "history": 2, **(solver or {})},
        )

    run()
    return run


@pytest.mark.parametrize(
    "change",
    [
        {"alpha": 0.1},
        {"beta": 10.0},
        {"tv": 1.0},
        {"style_layers": {"conv1_1": 0.2, "conv2_1": 3.0}},
        {"seed": 7},
        {"content": 2, "style": 3},
        {"network": 1},
        {"solver": {"iterations": 5}},
    ],
    ids=str,
)
def test_nothing_is_compiled_again(run, change):
    with counted() as programs:
        run(**change)
    assert programs == []


def test_the_count_notices_what_must_be_compiled(run):
    with counted() as programs:
        run(solver={"history": 3})
    assert len(programs) >= 1


class Fixed(NamedTuple):
    """An objective with a weight that JAX sees as part of the program."""

    alpha: float

    def __call__(self, picture, problem):
        total = self.alpha * jnp.mean((picture - problem) ** 2)
        return total, LossTerms(total, total, total, total, {}, {})


def test_the_count_notices_a_weight_that_is_not_traced():
    picture = jnp.zeros((4, 4, 3))
    solve = partial(loop.optimise, problem=picture, solver=Adam(), iterations=1)
    list(solve(Fixed(1.0), start=picture))
    with counted() as same:
        list(solve(Fixed(1.0), start=picture))
    with counted() as changed:
        list(solve(Fixed(2.0), start=picture))
    assert same == []
    assert len(changed) == 1


def test_a_program_from_the_cache_gives_the_same_picture_to_the_bit(
    run, tmp_path, monkeypatch
):
    monkeypatch.setenv("NST_JAX_CACHE_DIR", str(tmp_path))
    found = []

    def listen(name, **_):
        if name == "/jax/compilation_cache/cache_hits":
            found.append(name)

    jax.monitoring.register_event_listener(listen)
    pictures, hits = [], []
    for _ in range(2):
        loop._chunk.clear_cache()
        with use_compile_cache(True):
            pictures.append(run(solver={"iterations": 20}).picture)
        hits.append(len(found))
    jax.monitoring.unregister_event_listener(listen)
    assert hits[0] == 0
    assert hits[1] >= 1
    np.testing.assert_array_equal(*pictures)
