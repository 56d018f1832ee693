import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.features.random_weights import random_weights
from nst_jax.features.rescale import (
    RescaledTaps,
    TapParams,
    floored,
    mean_activations,
    rescale,
)
from nst_jax.features.vgg import device_params, network_of
from nst_jax.images.initial import noise
from nst_jax.images.resize import resize
from nst_jax.modes import sweep as module
from nst_jax.modes.multiscale import Scale, multiscale
from nst_jax.modes.sweep import Lane, sweep
from nst_jax.objective.objective import loss_weights
from nst_jax.objective.statistics.gram import GramMatrix
from nst_jax.objective.targets import Style
from nst_jax.solve.lbfgs import LBFGS

SIZES = ((16, 20), (32, 40))
ITERATIONS = (5, 12)
SOLVER = LBFGS(4)
WEIGHTS = random_weights("vgg19", seed=0, width=1 / 8, deepest="conv3_1")
NETWORK = network_of(WEIGHTS)


@pytest.fixture(scope="module")
def params():
    return device_params(WEIGHTS)


def picture(kind):
    y, x = np.mgrid[:32, :40].astype(np.float32) / 8
    a, b = 1 + kind, 5 - kind
    waves = np.stack([np.sin(a * y), np.cos(b * x), np.sin(a * x + b * y)], -1)
    return (waves + 1) / 2


@pytest.fixture(scope="module")
def pictures():
    """Kind and size -> array; one object each."""
    return {
        (kind, size): jnp.asarray(resize(picture(kind), *size))
        for kind in range(4)
        for size in SIZES
    }


def weights(alpha=0.1, content_layer="conv2_1", style_layers=("conv1_1", "conv2_1")):
    return loss_weights(
        alpha=alpha,
        beta=1.0,
        content={content_layer: 1.0},
        style={layer: 1 / len(style_layers) for layer in style_layers},
    )


def lane(pictures, params, *, content=0, style=1, seed=0, scales=1, **settings):
    sizes = list(zip(SIZES, ITERATIONS, strict=True))[-scales:]
    made = [
        Scale(
            pictures[content, size],
            (Style(pictures[style, size]),),
            weights(**settings),
            count,
        )
        for size, count in sizes
    ]
    return Lane(made, noise(*sizes[0][0], seed=seed), params)


def alone(one, extract=NETWORK):
    return list(
        multiscale(
            one.scales, one.start, extract=extract, params=one.params, solver=SOLVER
        )
    )


def side_by_side(lanes, **options):
    found = [[] for _ in lanes]
    for number, record in sweep(lanes, solver=SOLVER, **options):
        found[number].append(record)
    return found


def losses(records):
    return [float(record.terms.total) for record in records]


def check_same(records, expected, rtol=1e-4, steps=6):
    ours, theirs = losses(records)[:steps], losses(expected)[:steps]
    np.testing.assert_allclose(ours, theirs, rtol=rtol)
    for field in ("iteration", "evaluations", "refused", "size", "scale"):
        ours, theirs = ([getattr(r, field) for r in x] for x in (records, expected))
        assert ours == theirs, field
    last, wanted = records[-1], expected[-1]
    assert last.outcome == wanted.outcome
    assert last.picture.shape == wanted.picture.shape
    assert [r.outcome for r in records[:-1]] == [None] * (len(records) - 1)
    assert jax.tree.structure(last.terms) == jax.tree.structure(wanted.terms)
    first, start = records[0].terms, expected[0].terms
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), first, start)


# Lanes of as many, of as many scales, share a program: few are compiled.
AXES = {
    "alpha": (1, [{"alpha": alpha} for alpha in (0.0, 1e-3, 0.1, 10.0)]),
    "style": (1, [{"style": style} for style in (1, 2, 3, 0)]),
    "seed": (2, [{"seed": seed} for seed in (0, 1)]),
    "content": (1, [{"content": content} for content in (0, 2)]),
    "layers": (
        1,
        [
            {"content_layer": "conv2_2", "style_layers": ("conv1_1", "conv2_1")},
            {"content_layer": "conv1_2", "style_layers": ("conv3_1", "conv1_2")},
        ],
    ),
}


@pytest.mark.run
@pytest.mark.parametrize("axis", AXES)
def test_each_lane_is_the_lone_run(pictures, params, axis):
    scales, settings = AXES[axis]
    lanes = [lane(pictures, params, scales=scales, **own) for own in settings]
    found = side_by_side(lanes, extract=NETWORK)
    for one, records in zip(lanes, found, strict=True):
        # Of two scales, the start of the second, too: it has the first's last picture.
        check_same(records, alone(one), steps=6 if scales == 1 else ITERATIONS[0] + 2)
    # Else the axis would be none.
    assert len({losses(records)[5] for records in found}) == len(lanes)


def in_float64(tree):
    def wide(leaf):
        # The weights of styles are plain numbers.
        return jnp.asarray(leaf, jnp.float64) if hasattr(leaf, "dtype") else leaf

    return jax.tree.map(wide, tree)


def long_run(one):
    scale = in_float64(one.scales[0])._replace(iterations=25)
    return Lane([scale], in_float64(one.start), in_float64(one.params))


def check_final(records, expected):
    assert records[-1].picture.dtype == np.float64
    check_same(records, expected, rtol=1e-8, steps=10)
    assert losses(records)[-1] == pytest.approx(losses(expected)[-1], rel=1e-4)


@pytest.mark.slow
@pytest.mark.run
def test_in_float64_the_final_losses_agree(pictures, params):
    with jax.enable_x64(True):
        lanes = [
            long_run(lane(pictures, params, alpha=alpha, seed=seed))
            for alpha, seed in ((1e-3, 0), (1.0, 1))
        ]
        for one, records in zip(
            lanes, side_by_side(lanes, extract=NETWORK), strict=True
        ):
            check_final(records, alone(one))


@pytest.mark.run
def test_lanes_that_are_rescaled_each_for_its_pictures(pictures, params):
    lanes, expected = [], []
    with jax.enable_x64(True):
        for content, style in ((0, 1), (0, 2), (3, 1), (0, 1)):
            pair = [in_float64(pictures[kind, SIZES[1]]) for kind in (content, style)]
            mu = floored(mean_activations(NETWORK, in_float64(params), pair))
            rescaled = rescale(in_float64(params), mu)
            one = long_run(lane(pictures, rescaled, content=content, style=style))
            expected.append(alone(one))
            lanes.append(one._replace(params=TapParams(in_float64(params), mu)))
        found = side_by_side(
            lanes, extract=RescaledTaps(NETWORK), params_axes=TapParams(None, 0)
        )
    for records, wanted in zip(found, expected, strict=True):
        check_final(records, wanted)


def test_targets_are_computed_once_per_picture(pictures, params, monkeypatch):
    made, make = [], module.make_targets

    def counted(*arguments, **options):
        made.append(options["content_layers"] or options["style_layers"])
        return make(*arguments, **options)

    monkeypatch.setattr(module, "make_targets", counted)
    lanes = [
        lane(pictures, params, content=content, style=style)
        for content in (0, 1)
        for style in (1, 2, 3)
    ]
    module._problems(lanes, 0, NETWORK, GramMatrix(), None)
    assert sorted(made) == [("conv1_1", "conv2_1")] * 3 + [("conv2_1",)] * 2


def test_lanes_of_one_content_share_its_responses(pictures, params):
    lanes = [lane(pictures, params, style=style) for style in (1, 2)]
    problem, axes, _ = module._problems(lanes, 0, NETWORK, GramMatrix(), None)
    assert problem.targets.content["conv2_1"].shape == (16, 20, 16)
    assert problem.targets.style["conv2_1"].shape == (2, 16, 16)
    assert axes.targets[:2] == (None, 0)
    lanes = [lane(pictures, params, content=content) for content in (1, 2)]
    problem, axes, _ = module._problems(lanes, 0, NETWORK, GramMatrix(), None)
    assert problem.targets.content["conv2_1"].shape == (2, 16, 20, 16)
    assert axes.targets[:2] == (0, 0)


@pytest.mark.run
def test_a_lane_that_ends_at_a_coarse_scale_does_not_go_on(pictures, params):
    good = lane(pictures, params, scales=2)
    bad = lane(pictures, params, scales=2, alpha=np.inf)
    first, second = side_by_side([bad, good], extract=NETWORK)
    assert {record.scale for record in first} == {0}
    assert first[-1].outcome.code == "diverged"
    assert "scale 1 of 2 (20 pixels)" in first[-1].outcome.text
    assert first[-1].picture.shape == (32, 40, 3)
    check_same(second, alone(good))


def test_all_lanes_end_between_scales_when_asked_to(pictures, params):
    lanes = [lane(pictures, params, scales=2, seed=seed) for seed in (0, 1)]
    found = side_by_side(lanes, extract=NETWORK, should_stop=lambda: True)
    assert {records[-1].outcome.code for records in found} == {"interrupted"}
    assert {records[-1].picture.shape for records in found} == {(32, 40, 3)}
