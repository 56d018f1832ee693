import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.features.random_weights import random_weights
from nst_jax.features.vgg import device_params, network_of
from nst_jax.images.initial import noise
from nst_jax.images.resize import resize
from nst_jax.modes.multiscale import Scale, enlarged, multiscale
from nst_jax.modes.single import single
from nst_jax.objective.objective import loss_weights
from nst_jax.objective.targets import Style
from nst_jax.solve.lbfgs import LBFGS
from nst_jax.solve.loop import Outcome, Resume

SIZES = ((16, 20), (24, 30), (32, 40))
ITERATIONS = (6, 5, 4)
FIRSTS = (0, 7, 13)  # records that evaluate the start of each scale
LAST = 17


@pytest.fixture(scope="module")
def network():
    weights = random_weights("vgg19", seed=0, width=1 / 8, deepest="conv2_1")
    return {
        "extract": network_of(weights),
        "params": device_params(weights),
        "solver": LBFGS(4),
    }


def weights(alpha=0.1):
    return loss_weights(
        alpha=alpha, beta=1.0, content={"conv2_1": 1.0}, style={"conv1_1": 1.0}
    )


@pytest.fixture(scope="module")
def scales():
    y, x = np.mgrid[:32, :40].astype(np.float32) / 8
    content = (np.stack([np.sin(y), np.cos(x), np.sin(x + y)], -1) + 1) / 2
    style = (np.stack([np.sin(5 * x), np.sin(4 * x), np.cos(5 * x)], -1) + 1) / 2
    return [
        Scale(
            jnp.asarray(resize(content, *size)),
            (Style(jnp.asarray(resize(style, *size))),),
            weights(),
            count,
        )
        for size, count in zip(SIZES, ITERATIONS, strict=True)
    ]


@pytest.fixture(scope="module")
def start():
    return noise(*SIZES[0], seed=3)


@pytest.fixture(scope="module")
def whole(network, scales, start):
    """An uninterrupted run, with the state after every iteration of chunks."""
    return list(
        multiscale(
            scales, start, **network, pauses=frozenset(range(30)),
            keep_state=lambda: True,
        )
    )  # fmt: skip


def losses(records) -> list[float]:
    return [float(record.terms.total) for record in records]


def outcome_of(records) -> Outcome:
    assert all(record.outcome is None for record in records[:-1])
    assert records[-1].outcome is not None
    return records[-1].outcome


def test_records_are_numbered_through(whole):
    assert [r.iteration for r in whole] == list(range(LAST + 1))
    assert [r.evaluations for r in whole] == list(range(1, LAST + 2))
    assert [r.scale for r in whole] == [0] * 7 + [1] * 6 + [2] * 5
    assert [r.size for r in whole] == [20] * 7 + [30] * 6 + [40] * 5
    for one, two in itertools.pairwise(whole):
        assert two.seconds > one.seconds
        assert two.solve_seconds > one.solve_seconds
        assert two.compile_seconds >= one.compile_seconds
        assert two.refused >= one.refused
    assert whole[-1].compile_seconds > whole[0].compile_seconds


def test_only_the_last_record_has_an_outcome(whole):
    assert [r.outcome for r in whole[:-1]] == [None] * LAST
    assert whole[-1].outcome.code == "finished"
    assert "scale 3 of 3 (40 pixels)" in whole[-1].outcome.text


def test_every_picture_is_of_the_last_scales_size(whole):
    assert {r.picture.shape for r in whole} == {(32, 40, 3)}


def test_pictures_are_handed_out_at_the_pauses_and_at_the_end(network, scales, start):
    pauses = frozenset({2, 7, 9, 15})
    records = multiscale(scales, start, **network, pauses=pauses)
    held = {r.iteration for r in records if r.picture is not None}
    assert held == {*pauses, LAST}


def test_no_state_is_kept_unless_it_is_asked_for(network, scales, start):
    records = list(multiscale(scales, start, **network))
    assert all(record.state is None for record in records[:-1])


def test_with_one_scale_it_is_exactly_single(network, scales, start):
    first = scales[0]
    options = {**network, "pauses": frozenset({2})}
    one = list(multiscale([first], start, **options))
    two = list(
        single(
            first.content, first.styles, start, weights=first.weights,
            iterations=first.iterations, **options,
        )
    )  # fmt: skip
    plain = {"seconds": 0, "compile_seconds": 0, "solve_seconds": 0}
    for a, b in zip(one, two, strict=True):
        a, b = (r._replace(**plain) for r in (a, b))
        jax.tree.map(np.testing.assert_array_equal, a[:5], b[:5])
        np.testing.assert_array_equal(a.picture, b.picture)
        assert a.outcome == b.outcome
    jax.tree.map(np.testing.assert_array_equal, one[-1].state, two[-1].state)


def test_each_scale_runs_on_its_own_targets_from_the_scale_before(
    network, scales, start, whole
):
    """The same, by hand: three single runs, each from the enlarged best picture."""
    picture = start
    for index, scale in enumerate(scales):
        records = list(
            single(
                scale.content, scale.styles, picture, weights=scale.weights,
                iterations=scale.iterations, **network,
            )
        )  # fmt: skip
        of_scale = [r for r in whole if r.scale == index]
        assert losses(of_scale) == losses(records)
        if index < 2:
            assert records[-1].picture is not None
            picture = jnp.asarray(
                enlarged(records[-1].picture, scale, scales[index + 1])
            )
    np.testing.assert_array_equal(whole[-1].picture, records[-1].picture)


def test_each_scale_has_its_own_weights(network, scales, start, whole):
    heavier = [scales[0], scales[1]._replace(weights=weights(alpha=0.2)), scales[2]]
    records = list(multiscale(heavier, start, **network))
    assert losses(records)[:7] == losses(whole)[:7]
    terms, before = records[7].terms, whole[7].terms
    assert terms.content == before.content
    assert terms.total - before.total == pytest.approx(0.1 * terms.content, rel=1e-4)


def test_the_finer_contents_detail_is_put_in_where_content_counts(scales):
    coarse, fine = scales[0], scales[2]
    same = enlarged(coarse.content, coarse, fine)
    np.testing.assert_array_equal(same, fine.content)
    without = fine._replace(weights=weights(alpha=0.0))
    blurred = enlarged(coarse.content, coarse, without)
    assert 1e-4 < np.abs(blurred - fine.content).max() < 0.5


@pytest.mark.parametrize("at", [3, 6, 7, 10, 12, 16, 17])
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(
    network, scales, start, whole, at
):
    resume = Resume(whole[at], whole[at].state)
    rest = list(multiscale(scales, start, **network, resume=resume))
    # There is always a last record: that of a finished run comes once more.
    expected = whole[at + 1 :] or whole[-1:]
    assert [r.iteration for r in rest] == [r.iteration for r in expected]
    assert [r.evaluations for r in rest] == [r.evaluations for r in expected]
    assert [r.refused for r in rest] == [r.refused for r in expected]
    assert [r.scale for r in rest] == [r.scale for r in expected]
    assert losses(rest) == losses(expected)
    np.testing.assert_array_equal(rest[-1].picture, whole[-1].picture)
    assert rest[-1].outcome == whole[-1].outcome


def test_a_scale_that_is_not_there_cannot_be_resumed(network, scales, start, whole):
    resume = Resume(whole[-1], whole[-1].state)
    with pytest.raises(ValueError, match="no scale 3 to go on with: there are 2"):
        next(multiscale(scales[:2], start, **network, resume=resume))


def stopped_at(network, scales, start, iteration):
    reached = []
    records = multiscale(
        scales, start, **network,
        pauses=frozenset(range(30)),
        keep_state=lambda: False,
        should_stop=lambda: len(reached) >= iteration,
    )  # fmt: skip
    for record in records:
        reached.append(record)
    return reached


def test_interrupted_at_a_coarse_scale(network, scales, start, whole):
    records = stopped_at(network, scales, start, 9)
    last = records[-1]
    assert (last.iteration, last.scale, last.outcome.code) == (9, 1, "interrupted")
    assert "scale 2 of 3 (30 pixels): stopped on request" in last.outcome.text
    assert "enlarged to 40 pixels" in last.outcome.text
    assert last.picture.shape == (32, 40, 3)
    assert losses(records)[:-1] == losses(whole)[:9]
    resume = Resume(last, last.state)
    rest = list(multiscale(scales, start, **network, resume=resume))
    np.testing.assert_array_equal(rest[-1].picture, whole[-1].picture)


def test_interrupted_between_two_scales(network, scales, start, whole):
    records = stopped_at(network, scales, start, 6)
    last = records[-1]
    assert (last.iteration, last.scale, last.outcome.code) == (6, 0, "interrupted")
    assert "all iterations were made (6)" in last.outcome.text
    resume = Resume(last, last.state)
    rest = list(multiscale(scales, start, **network, resume=resume))
    assert losses(rest) == losses(whole)[7:]


def test_time_that_is_over_ends_the_run_at_any_scale(network, scales, start):
    last = list(multiscale(scales, start, **network, minutes=1e-9))[-1]
    assert (last.scale, outcome_of([last]).code) == (0, "time")
    assert last.picture is not None
    assert last.picture.shape == (32, 40, 3)


@pytest.mark.run
def test_a_scale_that_converges_gives_way_to_the_next(network, scales, start):
    records = list(
        multiscale(scales, start, **network, tolerance=0.999, window=2),
    )
    counts = [sum(r.scale == index for r in records) for index in range(3)]
    assert all(count < full + 1 for count, full in zip(counts, ITERATIONS, strict=True))
    assert [r.iteration for r in records] == list(range(len(records)))
    assert outcome_of(records).code == "converged"


def test_a_converged_scale_is_not_begun_again(network, scales, start):
    options = {**network, "tolerance": 0.999, "window": 2, "keep_state": lambda: True}
    records = list(multiscale(scales, start, **options))
    at = next(i for i, r in enumerate(records) if r.scale == 1) - 1
    state = records[at].state
    assert state is not None
    rest = list(
        multiscale(
            scales, start, **options, totals=losses(records[: at + 1]),
            resume=Resume(records[at], state),
        )
    )  # fmt: skip
    assert losses(rest) == losses(records)[at + 1 :]
