import numpy as np
import pytest

from nst_jax.config import Config, changed, load
from nst_jax.inputs import expand_home, input_files, repeatable, settings_text
from nst_jax.resolve import (
    Layout,
    at_scale,
    check_objective,
    check_scales,
    iterations_of,
    resolve,
)

LAYOUT = Layout("vgg19", {"conv1_1": 4, "conv2_1": 8, "conv4_2": 32})


def test_the_preset_fills_in_what_is_not_given():
    config = resolve(Config(), LAYOUT, 40, 48)
    objective = config.objective
    assert (objective.alpha, objective.beta, objective.tv) == (1e-3, 1.0, 0.0)
    assert objective.content_layers == {"conv4_2": 1.0}
    assert objective.style_layers == {f"conv{i}_1": 0.2 for i in range(1, 6)}
    assert (config.start, config.network.name) == ("noise", "vgg19")
    assert (config.network.pooling, config.network.rescale) == ("avg", True)


def test_what_is_given_wins_over_the_preset():
    given = changed(
        Config(),
        start="style",
        network={"pooling": "avg", "rescale": False},
        objective={
            "preset": "gatys-normalised",
            "alpha": 0,
            "style_layers": ["conv1_1", "conv2_1"],
            "content_layers": {"conv4_2": 7},
        },
    )
    config = resolve(given, LAYOUT, 40, 48)
    assert (config.objective.alpha, config.objective.beta) == (0, 1e9)
    assert config.objective.style_layers == {"conv1_1": 0.5, "conv2_1": 0.5}
    assert config.objective.content_layers == {"conv4_2": 7.0}
    assert (config.start, config.network.rescale) == ("style", False)


def test_weights_of_a_preset_use_the_networks_own_widths():
    given = changed(Config(), objective={"preset": "gatys-notebook"})
    weights = resolve(given, LAYOUT, 40, 48).objective.style_layers
    assert isinstance(weights, dict)
    assert weights["conv1_1"] == pytest.approx(1 / 4**2)
    assert weights["conv2_1"] == pytest.approx(1 / 8**2)


def test_a_resolved_config_resolves_to_itself():
    once = resolve(
        changed(Config(), objective={"preset": "neural-style"}), LAYOUT, 40, 48
    )
    assert resolve(once, LAYOUT, 40, 48) == once


@pytest.mark.parametrize(
    "objective",
    [
        {"alpha": 0, "beta": 0},
        {"content_layers": [], "style_layers": []},
        {"content_layers": {}, "style_layers": {"conv1_1": 0}},
        {"alpha": 0, "style_layers": {"conv1_1": 0, "conv2_1": 0}},
        {"beta": 0, "content_layers": []},
        {"content_layers": {"conv4_2": 0}, "style_layers": {"conv1_1": 0}, "tv": 1},
    ],
)
def test_an_objective_that_matches_nothing_is_refused(objective):
    with pytest.raises(ValueError, match="nothing would be matched"):
        check_objective(changed(Config(), objective=objective))


@pytest.mark.parametrize(
    "objective",
    [
        {"alpha": 0},
        {"beta": 0},
        {"content_layers": []},
        {"style_layers": {}},
        {"style_layers": {"conv1_1": 0, "conv2_1": 1}, "alpha": 0},
    ],
)
def test_content_alone_or_style_alone_is_enough(objective):
    check_objective(changed(Config(), objective=objective))


def test_unknown_presets_and_layers_are_refused():
    with pytest.raises(ValueError, match="unknown preset 'gatys'; known are gatys2016"):
        check_objective(changed(Config(), objective={"preset": "gatys"}))
    layers = {"style_layers": ["conv1_1", "relu1"]}
    with pytest.raises(ValueError, match="unknown layer relu1; vgg19 has conv1_1"):
        check_objective(changed(Config(), objective=layers))
    deep = changed(
        Config(), network={"name": "vgg16"}, objective={"style_layers": ["conv5_4"]}
    )
    with pytest.raises(ValueError, match="unknown layer conv5_4; vgg16 has"):
        check_objective(deep)


@pytest.fixture
def somewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return changed(
        Config(),
        content="in/c.png",
        style="s.png",
        start="x.png",
        network={"weights": "w.h5"},
        output={"dir": "out", "every": 3},
    )


def test_a_repeatable_config_has_absolute_inputs_and_no_output(somewhere, tmp_path):
    config = repeatable(somewhere)
    assert config.content == str(tmp_path / "in" / "c.png")
    assert config.start == str(tmp_path / "x.png")
    assert config.network.weights == str(tmp_path / "w.h5")
    assert (config.output.dir, config.output.every) == (None, 3)


@pytest.mark.parametrize("name", ["vgg19", "vgg16", "random"])
def test_names_of_weights_and_words_stay_as_they_are(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(b"not weights")  # a file of that name hides nothing
    config = changed(Config(), start="style", network={"weights": name})
    assert repeatable(config).network.weights == name
    assert repeatable(config).start == "style"
    assert input_files(config) == []


def test_settings_hold_no_folder(somewhere, tmp_path):
    text = settings_text(repeatable(somewhere))
    assert str(tmp_path) not in text
    assert "/" not in text
    (tmp_path / "x.yaml").write_text(text)
    config = load(tmp_path / "x.yaml")
    assert config.content == str(tmp_path / "c.png")


def test_files_that_are_read(somewhere):
    assert input_files(somewhere) == ["in/c.png", "s.png", "x.png", "w.h5"]


def test_home_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    config = changed(Config(), content="~/c.png", network={"weights": "~/w.h5"})
    config = expand_home(config)
    assert config.content == f"{tmp_path}/c.png"
    assert config.network.weights == f"{tmp_path}/w.h5"
    assert expand_home(Config()) == Config()


def test_shapes_follow_the_pooling():
    assert LAYOUT.shape("conv4_2", 47, 40) == (5, 5, 32)
    assert np.prod(LAYOUT.shape("conv3_1", 8, 8)) == 2 * 2 * 256  # at full width


def scales_of(layers=("conv2_1",), height=384, width=512, **keys):
    objective = {"content_layers": list(layers), "style_layers": list(layers)}
    narrowest = keys.pop("narrowest", None)
    config = changed(Config(), objective=objective, **keys)
    return resolve(config, LAYOUT, height, width, narrowest=narrowest).scales


def test_one_scale_is_the_size():
    assert scales_of(start="content") == (512,)
    assert scales_of(scales=[512]) == (512,)
    assert scales_of(size=300, scales=[300]) == (300,)


def test_scales_that_are_given_stay():
    assert scales_of(scales=[100, 300, 512]) == (100, 300, 512)


def test_from_noise_the_preset_goes_from_coarse_to_fine():
    """Its iterations are as many as were asked for."""
    config = resolve(Config(), LAYOUT, 384, 512)
    assert config.scales == (128, 256, 512)
    assert config.solver.scale_iterations == (100, 100, 300)
    few = resolve(changed(Config(), solver={"iterations": 11}), LAYOUT, 384, 512)
    assert few.solver.scale_iterations == (2, 2, 7)
    assert resolve(config, LAYOUT, 384, 512) == config


@pytest.mark.parametrize(
    "keys",
    [
        {"size": 250},
        {"start": "content"},
        {"start": "start.png"},
        {"scales": [512]},
        {"solver": {"iterations": 4}},
        {"objective": {"preset": "gatys-notebook"}},
        {"objective": {"preset": "gatys-notebook"}, "start": "noise"},
        {"objective": {"preset": "gatys2016-literal"}},
    ],
)
def test_else_the_preset_has_one_scale(keys):
    config = resolve(changed(Config(), **keys), LAYOUT, 384, 512)
    assert config.scales == (config.size,)
    assert config.solver.scale_iterations is None


def test_auto_halves_the_size_down_to_128():
    assert scales_of(scales="auto") == (128, 256, 512)
    assert scales_of(scales="auto", size=1000) == (250, 500, 1000)
    assert scales_of(scales="auto", size=250) == (250,)
    assert scales_of(scales="sqrt2") == (128, 181, 256, 362, 512)


def test_auto_leaves_the_deepest_layer_four_positions():
    # conv5_1 has a position per 16 pixels, the shorter side is 3/8 of the longer one.
    assert scales_of(["conv5_1"], 192, 512, scales="auto") == (256, 512)
    assert scales_of(["conv5_1"], 384, 512, scales="auto") == (128, 256, 512)
    narrow = scales_of(["conv5_1"], scales="auto", narrowest=100)
    assert narrow == (512,)


def test_resolved_scales_resolve_to_themselves():
    once = resolve(changed(Config(), scales="sqrt2"), LAYOUT, 384, 512)
    assert once.scales == (128, 181, 256, 362, 512)
    assert resolve(once, LAYOUT, 384, 512) == once


def test_iterations_are_those_of_every_scale_or_one_for_all():
    config = changed(Config(), scales="auto", solver={"iterations": 70})
    assert iterations_of(resolve(config, LAYOUT, 384, 512)) == (70, 70, 70)
    config = changed(config, solver={"scale_iterations": [9, 8, 7]})
    assert iterations_of(resolve(config, LAYOUT, 384, 512)) == (9, 8, 7)


@pytest.mark.parametrize("scales", [[128, 256], [256, 1024]])
def test_scales_end_at_the_size(scales):
    message = rf"the last of scales is {scales[-1]}, but size is 512"
    with pytest.raises(ValueError, match=message):
        check_scales(changed(Config(), scales=scales))


@pytest.mark.parametrize("scales", [[256, 512], "auto"])
def test_iterations_are_as_many_as_scales(scales):
    config = changed(Config(), scales=scales, solver={"scale_iterations": [9, 8, 7, 6]})
    with pytest.raises(ValueError, match=r"has 4 numbers, but there are \d scales"):
        resolve(config, LAYOUT, 384, 512)


def test_iterations_of_scales_need_scales():
    config = changed(Config(), solver={"scale_iterations": [9]})
    with pytest.raises(ValueError, match=r"solver\.scale_iterations needs scales"):
        check_scales(config)


def test_weights_that_follow_the_size_do_so_at_each_scale():
    """As if the preset were resolved at that size."""
    for preset in ("gatys2016-literal", "neural-style", "gatys2016"):
        given = changed(Config(), objective={"preset": preset})
        full = resolve(given, LAYOUT, 400, 512)
        coarse = at_scale(full, LAYOUT, (400, 512), (100, 128))
        directly = resolve(given, LAYOUT, 100, 128).objective
        assert coarse.tv == pytest.approx(directly.tv)
        assert coarse.content_layers == pytest.approx(directly.content_layers)
        assert coarse.style_layers == pytest.approx(directly.style_layers)
        assert at_scale(full, LAYOUT, (400, 512), (400, 512)) == full.objective
