import numpy as np
import pytest

from nst_jax.config import Config, changed, load
from nst_jax.resolve import (
    Layout,
    check_objective,
    expand_home,
    input_files,
    repeatable,
    resolve,
    settings_text,
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
