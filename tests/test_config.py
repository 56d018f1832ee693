import dataclasses
from pathlib import Path

import pytest

from nst_jax.config import Config, changed, load, override, set_text, to_yaml


@pytest.fixture
def write_yaml(tmp_path):
    def write(text, name="run.yaml") -> Path:
        path = tmp_path / "configs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_an_empty_file_gives_the_defaults(write_yaml):
    assert load(write_yaml("")) == load(write_yaml("# nothing\n")) == Config()
    assert load(write_yaml("solver:\nobjective: {}\n")) == Config()


def test_keys_are_read_and_the_others_keep_their_defaults(write_yaml):
    config = load(write_yaml("size: 64\nobjective: {alpha: 1e-2}\n"))
    assert (config.size, config.objective.alpha) == (64, 0.01)
    assert config.objective.beta is None
    assert config.solver == Config().solver


def test_layers_are_a_list_a_mapping_or_one_name(write_yaml):
    text = "objective:\n  content_layers: conv4_2\n  style_layers: {conv1_1: 2}\n"
    objective = load(write_yaml(text)).objective
    assert objective.content_layers == ("conv4_2",)
    assert objective.style_layers == {"conv1_1": 2.0}
    config = override(Config(), ["objective.style_layers=[conv1_1, conv2_1]"])
    assert config.objective.style_layers == ("conv1_1", "conv2_1")


def test_the_sweep_section_is_left_to_others(write_yaml):
    assert load(write_yaml("sweep: {objective.alpha: [1, 2]}\n")) == Config()


def test_later_sources_win(write_yaml):
    path = write_yaml("size: 64\nseed: 3\nobjective: {alpha: 1e-2}\n")
    config = load(path, ["seed=5", "objective.alpha=2", "seed=6"])
    assert (config.size, config.seed, config.objective.alpha) == (64, 6, 2.0)


def test_an_override_unsets_a_key_with_nothing_or_null():
    config = changed(Config(), start="content", objective={"alpha": 1.0})
    config = override(config, ["start=", "objective.alpha=null"])
    assert config == Config()


@pytest.mark.parametrize("name", ["1e3", "a: b #1.png", "*x", "2024", "[x", "true"])
def test_text_of_overrides_and_flags_is_taken_as_it_is(name):
    assert override(Config(), [f"content={name}"]).content == name
    assert set_text(Config(), "content", name, where="--content").content == name
    assert override(Config(), [f"output.dir={name}"]).output.dir == name


def test_weights_may_be_both_0_between_two_overrides():
    config = override(Config(), ["objective.beta=0"])
    config = override(config, ["objective.alpha=0", "objective.beta=1"])
    assert config.objective.beta == 1


# --- paths ----------------------------------------------------------------------


def test_paths_in_a_file_are_relative_to_it(write_yaml, monkeypatch, tmp_path):
    path = write_yaml(
        "content: a.png\nstyle: ../b.png\nstart: c.png\n"
        "network: {weights: w.h5}\noutput: {dir: out}\n"
    )
    monkeypatch.chdir(tmp_path)
    config = load("configs/run.yaml")
    folder = path.parent
    assert config.content == str(folder / "a.png")
    assert Path(config.style or "").resolve() == tmp_path / "b.png"
    assert config.start == str(folder / "c.png")
    assert config.network.weights == str(folder / "w.h5")
    assert config.output.dir == str(folder / "out")


@pytest.mark.parametrize("name", ["2024", "2024-01-01"])
def test_a_file_named_like_a_number_is_relative_to_the_yaml_too(write_yaml, name):
    path = write_yaml(f"content: {name}\n")
    assert load(path).content == str(path.parent / name)


@pytest.mark.parametrize("start", ["noise", "content", "style"])
def test_words_are_no_paths(write_yaml, start):
    config = load(write_yaml(f"start: {start}\nnetwork: {{weights: vgg19}}\n"))
    assert (config.start, config.network.weights) == (start, "vgg19")


def test_a_folder_named_like_the_weights_hides_no_name(write_yaml):
    path = write_yaml("network: {weights: vgg19}\n")
    (path.parent / "vgg19").mkdir()
    assert load(path).network.weights == "vgg19"


def test_home_is_replaced_where_there_is_one(write_yaml, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    path = write_yaml("content: ~/a.png\nstyle: ~no-such-user/b.png\n")
    config = load(path)
    assert config.content == str(tmp_path / "a.png")
    assert config.style == str(path.parent / "~no-such-user" / "b.png")


def test_absolute_paths_stay(write_yaml, tmp_path):
    absolute = str(tmp_path / "x.png")
    assert load(write_yaml(f"content: {absolute}\n")).content == absolute


# --- what is refused -------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sise: 3", "unknown key sise; did you mean size?"),
        ("zzz: 3", r"unknown key zzz \(allowed here: content, style"),
        ("objective: {alfa: 3}", "unknown key objective.alfa; did you mean obj"),
        ("objective: {sweep: 3}", "unknown key objective.sweep"),
        ("1: 2", "unknown key 1"),
        ("objective: [alpha]", "objective: expected keys, not a list"),
        ("- size", "expected keys and values, not a list"),
        ("hello", "expected keys and values, not the text hello"),
        ("size: [1, 2]", r"size: expected a whole number, not a list \[1, 2\]"),
        ("objective: {alpha: [1]}", "objective.alpha: expected a number, not a list"),
        ("objective: {style_layers: 3}", "objective.style_layers: expected layers"),
        ("objective: {style_layers: [[a]]}", "style_layers: expected text, not a list"),
        ("objective: {style_layers: {a: x}}", "style_layers.a: expected a number"),
        ("objective: {style_layers: {a: -1}}", "style_layers.a: a weight must be 0 or"),
        ("objective: {style_layers: {a: .nan}}", "style_layers.a: nan is not a finite"),
        ("objective: {style_layers: [a, a]}", "a layer is named twice in a, a"),
        ("objective: {alpha: -1}", "objective.alpha: a weight must be 0 or from"),
        ("objective: {beta: 1e39}", "objective.beta: a weight must be 0 or from"),
        ("objective: {tv: 1e-40}", "objective.tv: a weight must be 0 or from"),
        ("objective: {alpha: .inf}", "objective.alpha: inf is not a finite number"),
        ("size: 0", "size must be from 1 to 32768, not 0"),
        ("size: -5", "size must be from 1 to 32768, not -5"),
        ("size: 32769", "size must be from 1 to 32768, not 32769"),
        ("seed: -1", "seed must be from 0 to 4294967295"),
        ("seed: 4294967296", "seed must be from 0 to 4294967295"),
        ("solver: {iterations: 0}", "solver.iterations must be from 1 to"),
        ("solver: {iterations: 1000001}", "solver.iterations must be from 1 to"),
        ("solver: {history: 0}", "solver.history must be from 1 to"),
        ("solver: {learning_rate: 0}", "solver.learning_rate must be above 0"),
        ("solver: {learning_rate: 1e-40}", "solver.learning_rate must be above 0"),
        ("solver: {learning_rate: 1e9}", "solver.learning_rate must be above 0"),
        ("output: {every: 0}", "output.every must be from 1 to"),
        ("network: {pooling: mean}", "network.pooling: expected one of avg, max"),
        ("content: ''", "content: expected text, not ''"),
        ("scales: 3", "scales: expected 1 to 16 whole numbers"),
        ("scales: []", "scales: expected 1 to 16 whole numbers"),
        ("scales: coarse", "scales: expected one of auto, sqrt2"),
        ("scales: [256, 512.5]", "scales: expected a whole number"),
        ("scales: [512, 256]", r"scales must be positive and grow, not \(512, 256\)"),
        ("scales: [0, 512]", "scales must be positive and grow"),
        ("solver: {scale_iterations: 5}", "scale_iterations: expected 1 to 16 whole"),
        ("solver: {scale_iterations: [0]}", "scale_iterations must be from 1 up"),
        ("solver: {memory: 1}", "solver.memory: expected one of auto, fast, low"),
        ("solver: {minutes: 0}", "solver.minutes must be above 0"),
        ("solver: {tolerance: -1}", "solver.tolerance must be above 0"),
        ("solver: {window: 0}", "solver.window must be from 1"),
        ("solver: {checkpoint_seconds: -1}", "checkpoint_seconds must be from 0"),
        ("compile_cache: 1", "compile_cache: expected true or false"),
    ],
)
def test_bad_values_are_refused_with_file_and_key(write_yaml, text, message):
    path = write_yaml(text)
    with pytest.raises(ValueError, match=message) as error:
        load(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_the_limits_themselves_are_allowed():
    config = override(
        Config(), ["size=32768", "seed=4294967295", "objective.alpha=1e30", "size=1"]
    )
    assert config.seed == 2**32 - 1


@pytest.mark.parametrize("text", ["a", "=", "=3", ".=3", "a..b=1", "size", ""])
def test_overrides_without_key_or_value_are_refused(text):
    with pytest.raises(ValueError, match=r"expected section\.key=value"):
        override(Config(), [text])


@pytest.mark.parametrize(
    "text",
    [
        "size=",
        "size==3",
        "size=[",
        "size=a: b: c",
        "size=*a",
        "size.x=1",
        "objective=3",
    ],
)
def test_odd_overrides_are_refused_with_their_text(text):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the text is compared
        override(Config(), [text])
    assert str(error.value).startswith(f"{text}: ")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (bytes(range(128, 256)), "not a text file"),
        ("size: 64".encode("utf-16"), "not a text file"),
        (b"#" * (2**20 + 1), "too large for a config"),
        (None, "No such file"),
    ],
)
def test_files_that_are_no_text_are_refused(tmp_path, data, message):
    path = tmp_path / "x.yaml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ValueError, match=message):
        load(path)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        load(tmp_path)


# --- round trip ------------------------------------------------------------------


def test_to_yaml_reads_back_equal(tmp_path):
    config = changed(
        Config(),
        content=str(tmp_path / "1e3"),
        size=100,
        scales=(25, 50, 100),
        start="content",
        network={"weights": "vgg16", "rescale": False},
        objective={
            "alpha": 0.1 + 0.2,
            "tv": 1e-7,
            "content_layers": {"conv4_2": 1 / 3},
            "style_layers": ("conv1_1", "conv2_1"),
        },
        solver={
            "name": "adam",
            "learning_rate": 1e-3,
            "scale_iterations": (3, 2, 1),
            "minutes": 1.5,
        },
        output={"every": 7},
    )
    path = tmp_path / "x.yaml"
    path.write_text(to_yaml(config))
    assert load(path) == config


def test_to_yaml_names_every_key():
    text = to_yaml(Config())
    for field in dataclasses.fields(Config):
        assert f"{field.name}:" in text
