import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from nst_jax import prepare_sweep
from nst_jax.config import changed, from_tree
from nst_jax.features.rescale import RescaledTaps, TapParams
from nst_jax.features.vgg import Network
from nst_jax.images.io import load
from nst_jax.memory import predict
from nst_jax.modes.multiscale import multiscale
from nst_jax.prepare import prepare
from nst_jax.prepare_sweep import plan_shapes, prepare_batches, run, split, work_of
from nst_jax.sweep_spec.groups import groups
from nst_jax.sweep_spec.spec import parse

ROOT = Path(__file__).resolve().parents[1]


def base_of(content, style, weights):
    return from_tree(
        {
            "content": str(content),
            "style": str(style),
            "size": 48,
            "objective": {
                "content_layers": ["conv3_1"],
                "style_layers": ["conv1_1", "conv2_1"],
            },
            "network": {"weights": str(weights)},
            "solver": {"iterations": 11, "history": 4},
        }
    )


@pytest.fixture(scope="module")
def base(pictures, tiny_weights):
    return base_of(pictures.content, pictures.style, tiny_weights)


@pytest.fixture(scope="module")
def upright(pictures, tmp_path_factory):
    """The content turned by a quarter."""
    file = tmp_path_factory.mktemp("upright") / "upright.png"
    Image.open(pictures.content).rotate(90, expand=True).save(file)
    return file


def planned(base, **axes):
    (group,) = groups(parse(axes, base))
    return plan_shapes(group)


def batches_of(base, **axes):
    plan = planned(base, **axes)
    return list(prepare_batches(plan.loaded, plan.shapes))


def alone(config):
    ready = prepare(config, load(config.content), [load(config.style)], None)
    limits = ready.config.solver
    records = multiscale(
        ready.scales,
        ready.start,
        extract=ready.network,
        params=ready.params,
        solver=ready.solver,
        tolerance=limits.tolerance,
        window=limits.window,
    )
    return ready, list(records)


def losses(records):
    return [float(record.terms.total) for record in records]


def check_lone_runs(batch, *, steps=10, close=0.01, **options):
    found = [[] for _ in batch.lanes]
    for lane, record in run(batch, **options):
        found[lane].append(record)
    for lane, mine, records in zip(batch.lanes, batch.prepared, found, strict=True):
        ready, expected = alone(lane.config)
        assert mine.config == ready.config
        assert records[-1].outcome == expected[-1].outcome
        assert records[-1].evaluations == expected[-1].evaluations
        np.testing.assert_allclose(
            losses(records)[:steps], losses(expected)[:steps], rtol=1e-4
        )
        difference = np.abs(records[-1].picture - expected[-1].picture)
        assert difference.max() <= close
        assert [*records[-1].terms.style_layers] == [*expected[-1].terms.style_layers]


def check_prepared(batch):
    """A lane is given what the lone run is given, and a network that may be deeper."""
    for lane, mine in zip(batch.lanes, batch.prepared, strict=True):
        config = lane.config
        ready = prepare(config, load(config.content), [load(config.style)], None)
        assert (mine.config, mine.solver) == (ready.config, ready.solver)
        params = {layer: mine.params[layer] for layer in ready.params}
        ours = params, mine.start, mine.scales
        theirs = ready.params, ready.start, ready.scales
        assert jax.tree.structure(ours) == jax.tree.structure(theirs)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), ours, theirs
        )


AXES = {
    "layers": {
        "style_layers": {"A": ["conv1_1"], "B": ["conv4_1", "conv1_1"]},
        "content_layers": {"C": ["conv3_1"], "D": ["conv2_2"]},
        "combine": "zip",
    },
    "start": {"start": ["noise", "content", "style"]},
    "preset": {"preset": ["gatys2016", "neural-style"], "pooling": ["avg"]},
}


@pytest.mark.parametrize("axes", AXES)
def test_each_lane_is_prepared_as_the_lone_run_of_its_config(base, axes):
    (batch,) = batches_of(changed(base, network={"rescale": True}), **AXES[axes])
    assert isinstance(batch.extract, Network)
    check_prepared(batch)


@pytest.mark.run
def test_each_lane_is_the_lone_run_of_its_config(base):
    (batch,) = batches_of(changed(base, network={"rescale": True}), **AXES["layers"])
    check_lone_runs(batch)


@pytest.mark.run
@pytest.mark.parametrize("rescale", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_lanes_of_several_pictures_are_the_lone_runs(base, pictures, rescale):
    one, two = str(pictures.content), str(pictures.style)
    base = changed(base, network={"rescale": rescale})
    (batch,) = batches_of(base, content=[one, two], style=[two, one])
    if rescale:
        assert batch.extract == RescaledTaps(batch.prepared[0].network)
        assert batch.params_axes == TapParams(None, 0)
        # The same function, but not to the last bit, and each step doubles the rest;
        # tests/modes/test_sweep.py follows it in float64.
        check_lone_runs(batch, steps=5, close=0.3)
    else:
        assert isinstance(batch.extract, Network)
        check_lone_runs(batch)


def test_lanes_with_scales_are_prepared_as_the_lone_runs(base):
    base = changed(base, scales=[32, 48], solver={"scale_iterations": [5, 8]})
    (batch,) = batches_of(base, alpha=[1e-3, 1.0], seed=[0, 7])
    check_prepared(batch)


@pytest.mark.run
def test_limits_are_those_of_the_config(base):
    base = changed(base, solver={"tolerance": 0.5, "window": 5, "iterations": 40})
    (batch,) = batches_of(base, alpha=[1e-3, 1e-1])
    check_lone_runs(batch)
    minutes = changed(base, solver={"minutes": 1e-6})
    (batch,) = batches_of(minutes, alpha=[1e-3, 1e-1])
    assert {r.outcome.code for _, r in run(batch) if r.outcome} == {"time"}


EIGHT_DEVICES = """
import jax
from scripts.jitter import VARIABLE, jittered
from tests.test_prepare_sweep import *

assert len(jax.devices()) == 8
content, style, weights = sys.argv[1:]
base = changed(base_of(content, style, weights), network={"rescale": False})
(batch,) = batches_of(base, style=[content, style], alpha=[1e-3, 1e-1, 1.0])
with jittered(os.environ.get(VARIABLE)):
    check_lone_runs(batch, devices=jax.devices())
"""


@pytest.mark.slow
@pytest.mark.run
def test_on_eight_devices_each_lane_is_the_lone_run(pictures, tiny_weights):
    flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=8"
    files = map(str, (pictures.content, pictures.style, tiny_weights))
    done = subprocess.run(
        [sys.executable, "-c", EIGHT_DEVICES, *files],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


# --- the plan ---------------------------------------------------------------------


def test_lanes_of_other_shapes_run_apart(base, pictures, upright):
    contents = [str(pictures.content), str(upright), str(pictures.style)]
    plan = planned(base, content=contents, seed=[0, 1])
    assert [shape.contents for shape in plan.shapes] == [((40, 48),), ((48, 40),)]
    assert [[lane.index for lane in s.lanes] for s in plan.shapes] == [
        [0, 1, 4, 5],
        [2, 3],
    ]
    assert plan.shapes[0].iterations == (11,)
    assert plan.shapes[0].layers == {"conv1_1", "conv2_1", "conv3_1"}
    # Two pictures of 40 x 48, three channels of float32; the style is one of them.
    assert sum(plan.shapes[0].pictures.values()) == 2 * 40 * 48 * 3 * 4


def test_lanes_of_other_scales_run_apart(base, upright):
    base = changed(base, scales="auto", size=256)
    deep = {"A": ["conv1_1"], "B": ["conv5_1"]}
    shapes = planned(base, style_layers=deep).shapes
    assert [shape.contents for shape in shapes] == [((107, 128), (213, 256))]
    base = changed(base, scales=None, start=None, solver={"iterations": 500})
    shapes = planned(base, start=["noise", "content"]).shapes
    assert [len(shape.contents) for shape in shapes] == [2, 1]


def test_the_network_reaches_the_deepest_layer_of_all_lanes(base):
    plan = planned(base, style_layers={"A": ["conv1_1"], "B": ["conv4_1"]})
    assert [*plan.loaded.weights.params][-1] == "conv4_1"
    (shape,) = plan.shapes
    assert shape.layers == {"conv1_1", "conv3_1", "conv4_1"}


@pytest.mark.parametrize(
    ("count", "most", "sizes"),
    [(5, 8, [5]), (8, 8, [8]), (9, 8, [4, 5]), (20, 8, [6, 7, 7]), (3, 1, [1, 1, 1])],
)
def test_batches_are_of_nearly_equal_size(base, count, most, sizes):
    (shape,) = planned(base, seed=list(range(count))).shapes
    parts = split(shape, most)
    assert [len(part.lanes) for part in parts] == sizes
    assert sum((part.lanes for part in parts), ()) == shape.lanes


def test_work_grows_with_the_lanes(base):
    plan = planned(base, seed=[0, 1])
    one, many = (work_of(plan, plan.shapes[0], lanes=n) for n in (1, 100))
    assert (one.content, one.style, one.history) == ((40, 48), (40, 48), 4)
    assert one.layers == ("conv1_1", "conv2_1", "conv3_1")
    # The histories alone: 24 bytes per pair, pixel and lane.
    more = predict(many) - predict(one)
    assert more > 99 * 24 * 4 * 40 * 48


# --- batches ----------------------------------------------------------------------


def test_each_picture_is_read_once_for_a_batch(base, pictures, monkeypatch):
    plan = planned(
        base, content=[str(pictures.content), str(pictures.style)], seed=[0, 1]
    )
    read = []
    monkeypatch.setattr(
        prepare_sweep, "load", lambda file: (read.append(file), load(file))[1]
    )
    (batch,) = prepare_batches(plan.loaded, plan.shapes)
    assert sorted(read) == sorted([str(pictures.content), str(pictures.style)])
    a, b, c, d = batch.prepared
    assert a.content is b.content
    assert c.content is d.content
    assert a.styles[0].picture is b.styles[0].picture
    assert a.params is b.params
    # One picture as content and as style is two arrays.
    assert len({id(x.styles[0].picture) for x in batch.prepared}) == 1


def test_batches_are_prepared_when_their_turn_comes(base, monkeypatch):
    plan = planned(base, seed=[0, 1, 2])
    made = []
    prepare_with = prepare_sweep.prepare_with

    def counted(*arguments):
        made.append(arguments)
        return prepare_with(*arguments)

    monkeypatch.setattr(prepare_sweep, "prepare_with", counted)
    batches = prepare_batches(plan.loaded, split(plan.shapes[0], 1))
    next(batches)
    assert len(made) == 1
    next(batches)
    assert len(made) == 2


def test_stored_means_serve_all_pictures(base, pictures):
    both = [str(pictures.content), str(pictures.style)]
    plan = planned(changed(base, network={"rescale": True}), style=both)
    mu = {
        layer: np.ones(a["bias"].shape)
        for layer, a in plan.loaded.weights.params.items()
    }
    weights = plan.loaded.weights._replace(mu={"avg": mu})
    loaded = plan.loaded._replace(weights=weights)
    (batch,) = prepare_batches(loaded, plan.shapes)
    assert isinstance(batch.extract, Network)
    assert batch.params_axes is None
    jax.tree.map(
        np.testing.assert_array_equal, batch.prepared[0].params, weights.params
    )


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"start": ["noise", "nois"]}, r"lane 1 \(start nois\): start 'nois': no such"),
        ({"style": ["none.png"]}, r"lane 0 \(style none\): none.png: no such file"),
        ({"alpha": [1.0, 0.0], "beta": [0.0]}, r"lane 1 \(.*\): nothing would be"),
        (
            {"content_layers": {"A": ["conv2_1"], "B": ["conv5_1"]}, "size": [17]},
            r"lane 1 \(content_layers B, size 17\): the content picture is 17 x 14",
        ),
    ],
)
def test_errors_name_the_lane(base, axes, message):
    with pytest.raises(ValueError, match=message):
        planned(base, **axes)


def test_a_sweep_needs_pictures(base):
    with pytest.raises(ValueError, match=r"lane 0 .*no style picture: give --style"):
        planned(changed(base, style=None), seed=[0, 1])
