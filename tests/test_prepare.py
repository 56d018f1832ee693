import jax
import numpy as np
import pytest

from nst_jax.config import changed, from_tree, load, to_yaml
from nst_jax.images.color import colour_statistics
from nst_jax.images.io import from_array
from nst_jax.images.io import load as load_picture
from nst_jax.prepare import prepare
from nst_jax.solve.lbfgs import LBFGS

LAYERS = {"content_layers": ["conv2_1"], "style_layers": ["conv1_1", "conv2_1"]}


@pytest.fixture(scope="module")
def config(tiny_weights):
    return from_tree(
        {
            "size": 48,
            "scales": [24, 48],
            "objective": LAYERS,
            "network": {"weights": str(tiny_weights)},
            "solver": {"iterations": 5, "history": 3, "scale_iterations": [6, 4]},
        }
    )


@pytest.fixture(scope="module")
def arrays(pictures):
    return load_picture(pictures.content), load_picture(pictures.style)


def prepared(config, arrays, **keys):
    content, style = arrays
    return prepare(changed(config, **keys), content, [style], None)


def test_each_scale_has_its_pictures_and_iterations(config, arrays):
    ready = prepared(config, arrays)
    assert [scale.content.shape for scale in ready.scales] == [(20, 24, 3), (40, 48, 3)]
    assert [scale.styles[0].picture.shape for scale in ready.scales] == [
        (20, 24, 3),
        (40, 48, 3),
    ]
    assert [scale.iterations for scale in ready.scales] == [6, 4]
    assert ready.start.shape == (20, 24, 3)
    assert ready.content is ready.scales[-1].content
    assert ready.styles is ready.scales[-1].styles
    assert ready.solver == LBFGS(3, rounded=True)


def test_one_scale_is_there_without_scales(config, arrays):
    ready = prepared(config, arrays, scales=None, solver={"scale_iterations": None})
    assert ready.config.scales == (48,)
    assert [scale.iterations for scale in ready.scales] == [5]
    assert ready.start.shape == ready.content.shape == (40, 48, 3)


def test_the_network_does_not_depend_on_the_scales(config, arrays):
    one = prepared(config, arrays, scales=[48], solver={"scale_iterations": None})
    two = prepared(config, arrays)
    jax.tree.map(np.testing.assert_array_equal, one.params, two.params)


def test_weights_that_follow_the_size_are_resolved_per_scale(config, arrays):
    preset = {"preset": "neural-style", "tv": None}
    coarse, full = prepared(config, arrays, objective=preset).scales
    assert full.weights.tv == pytest.approx(1e-3 * 255**2 / 2 * 3 * 40 * 48)
    assert full.weights.tv == pytest.approx(4 * float(coarse.weights.tv))
    assert coarse.weights.style == full.weights.style


@pytest.mark.parametrize("preset", ["gatys2016", "gatys2016-literal", "neural-style"])
def test_the_resolved_config_gives_the_same_picture(config, arrays, tmp_path, preset):
    objective = {"preset": preset, "style_layers": None, "content_layers": None}
    first = prepared(config, arrays, objective=objective, scales=[32, 48])
    assert first.config.scales == (32, 48)
    file = tmp_path / "config.yaml"
    file.write_text(to_yaml(first.config))
    again = prepared(load(file), arrays)
    assert again.config == first.config
    jax.tree.map(np.testing.assert_array_equal, first.scales, again.scales)
    np.testing.assert_array_equal(first.start, again.start)


def test_auto_becomes_the_plain_list(config, arrays):
    keys = {"size": 256, "scales": "auto", "solver": {"scale_iterations": [1, 1]}}
    ready = prepared(config, arrays, **keys)
    assert ready.config.scales == (128, 256)
    again = prepared(ready.config, arrays)
    jax.tree.map(np.testing.assert_array_equal, ready.scales, again.scales)
    np.testing.assert_array_equal(ready.start, again.start)


def test_content_recoloured_has_the_styles_colours_and_the_contents_shapes(config):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:40, :48] / 48
    content = np.stack([0.4 + 0.2 * x, 0.4 + 0.2 * y, 0.5 + 0 * x], -1)
    style = 0.5 + 0.05 * rng.standard_normal((40, 48, 3)) @ rng.random((3, 3))
    pair = from_array(content), from_array(style)
    ready = prepared(config, pair, start="content-recoloured")
    reached, wanted = (
        colour_statistics(np.asarray(p))
        for p in (ready.start, ready.scales[0].styles[0].picture)
    )
    np.testing.assert_allclose(reached.mean, wanted.mean, atol=1e-4)
    shapes = np.corrcoef(np.ravel(ready.start[..., 0]), np.ravel(x[::2, ::2]))
    assert ready.start.shape == (20, 24, 3)
    assert abs(shapes[0, 1]) > 0.2


def test_a_scale_that_is_too_small_for_the_deepest_layer_is_named(config, arrays):
    deep = {"content_layers": ["conv5_1"]}
    message = (
        "content picture is 16 x 13 at scale 16 of scales; conv5_1 needs at least 16 "
        "pixels on each side: choose a larger first scale"
    )
    with pytest.raises(ValueError, match=message):
        prepared(config, arrays, objective=deep, scales=[16, 48])
    with pytest.raises(ValueError, match=r"at size 18; .* choose a larger size"):
        prepared(
            config, arrays, objective=deep, size=18, scales=[16, 18]
        )  # the full size is the first to be looked at


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"scales": [24, 96]}, "the last of scales is 96, but size is 48"),
        ({"scales": [24, 32, 48]}, "has 2 numbers, but there are 3 scales"),
        ({"scales": None}, "solver.scale_iterations needs scales"),
    ],
)
def test_scales_that_do_not_fit_are_refused(config, arrays, keys, message):
    with pytest.raises(ValueError, match=message):
        prepared(config, arrays, **keys)
