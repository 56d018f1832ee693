"""Several styles, their scale, and what is meant by style: from config to picture."""

import json

import numpy as np
import pytest
from PIL import Image

import nst_jax
from nst_jax.config import (
    Config,
    StyleConfig,
    changed,
    from_tree,
    load,
    override,
    to_yaml,
)
from nst_jax.inputs import input_files, picture_files, repeatable, styles_of
from nst_jax.objective.objective import Objective, Problem
from nst_jax.objective.presets import STYLE_LOSSES
from nst_jax.objective.statistics.names import make_statistic
from nst_jax.objective.targets import Style, make_targets
from nst_jax.prepare import prepare
from nst_jax.sources import file_name, picture_of, style_keys, style_sources

LAYERS = ("conv1_1", "conv2_1", "conv3_1")
OPTIONS = {
    "size": 48,
    "start": "content",
    "objective": {"style_layers": list(LAYERS), "alpha": 0.0},
    "solver": {"iterations": 60, "history": 8},
}


def stylize(pictures, weights, style=None, **changes):
    """A small run, of style alone unless told otherwise."""
    options = {key: changes.pop(key, value) for key, value in OPTIONS.items()}
    options["objective"] = {**OPTIONS["objective"], **changes.pop("given", {})}
    style = pictures.style if style is None else style
    return nst_jax.stylize(
        pictures.content, style, network={"weights": weights}, **options, **changes
    )


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    """A style of squares of 4 pixels at its own size, colours by chance."""
    values = np.random.default_rng(0).random((24, 24, 1)).repeat(3, axis=2)
    pixels = (255 * values.repeat(4, 0).repeat(4, 1)).astype(np.uint8)
    path = tmp_path_factory.mktemp("blocks") / "blocks.png"
    Image.fromarray(pixels).save(path)
    return path


# --- what is meant by style -------------------------------------------------------


@pytest.fixture(scope="module")
def by_gram(pictures, tiny_weights):
    return stylize(pictures, tiny_weights).records[-1].picture


QUICK = ("mean-std",)


@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_the_statistic_of_the_config_is_prepared(pictures, tiny_weights, name):
    config = changed(
        Config(),
        size=48,
        network={"weights": tiny_weights, "rescale": False},
        objective={"style_layers": list(LAYERS), "style_loss": name},
    )
    ready = prepare(config, *read(pictures), None)
    assert ready.statistic == make_statistic(name, layers=LAYERS)


@pytest.mark.run
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow)
        for name in STYLE_LOSSES
        if name != "gram"
    ],
)
def test_each_statistic_reaches_less_of_its_own_loss(
    pictures, tiny_weights, by_gram, name
):
    """It would not if ``style_loss`` were passed over."""
    result = stylize(pictures, tiny_weights, given={"style_loss": name})
    assert result.config.objective.style_loss == name
    ready = prepare(result.config, *read(pictures), None)
    statistic = make_statistic(name, layers=LAYERS)
    assert ready.statistic == statistic
    targets = make_targets(
        ready.network, ready.params, content=ready.content, styles=ready.styles,
        content_layers=(), style_layers=LAYERS, statistic=statistic,
    )  # fmt: skip
    weights = ready.scales[-1].weights._replace(content={})
    objective = Objective(ready.network, statistic)

    def loss(picture):
        problem = Problem(ready.params, targets, weights)
        return float(objective(picture, problem)[1].style)

    # Of the picture before it is clipped.
    reached, free = loss(result.records[-1].picture), loss(by_gram)
    assert reached == pytest.approx(float(result.records[-1].terms.style), rel=1e-3)
    assert reached < 0.9 * free


def read(pictures):
    return picture_of(pictures.content), [picture_of(pictures.style)]


# --- several styles ---------------------------------------------------------------


@pytest.mark.run
def test_a_blend_is_between_its_styles(pictures, blocks):
    """And each style's weight counts: its Gram matrices come nearer."""
    styles = [pictures.style, blocks]

    def distances(weights):
        result = stylize(pictures, "vgg19-tiny", styles, style_weights=weights)
        return [distance(result.picture, pictures, style) for style in styles]

    first, both, second = map(distances, ((1, 0), (1, 1), (0, 1)))
    # Twenty seeds: ratios 0.33, 0.31, 0.74 to 0.81, 0.03. Were a weight passed over,
    # two of the three would be one picture.
    assert both[0] < 0.5 * second[0]
    assert both[1] < 0.5 * first[1]
    assert first[0] < 0.95 * both[0]
    assert second[1] < 0.5 * both[1]


def distance(picture, pictures, style) -> float:
    """Style loss of a picture against one style."""
    ready = prepare(
        changed(Config(), network={"weights": "vgg19-tiny"}, size=48),
        picture_of(pictures.content),
        [picture_of(style)],
        None,
    )
    targets = make_targets(
        ready.network, ready.params, content=ready.content, styles=ready.styles,
        content_layers=(), style_layers=LAYERS,
    )  # fmt: skip
    layers = dict.fromkeys(LAYERS, 1.0)
    loss = ready.scales[-1].weights._replace(content={}, style=layers)
    problem = Problem(ready.params, targets, loss)
    return float(Objective(ready.network)(picture, problem)[1].style)


@pytest.mark.run
def test_one_style_twice_is_that_style(pictures, tiny_weights):
    """Seen in the losses of the start and of two steps, before chaos sets in."""

    def losses(style, **more):
        result = stylize(
            pictures, tiny_weights, style, solver={"iterations": 3}, **more
        )
        return [record.terms.style for record in result.records[:3]]

    one = losses(pictures.style)
    two = losses([pictures.style] * 2, style_weights=[1, 3])
    np.testing.assert_allclose(two, one, rtol=1e-4)
    arrays = [np.asarray(Image.open(pictures.style))] * 2
    np.testing.assert_allclose(losses(arrays), one, rtol=1e-4)
    other = losses([pictures.style, pictures.content], style_weights=[1, 3])
    assert abs(other[0] / one[0] - 1) > 0.1


@pytest.mark.run
def test_a_larger_style_scale_makes_larger_strokes(pictures, blocks):
    """The result's spectrum moves to longer waves; by a network that sees blocks."""

    def frequency(scale):
        result = stylize(
            pictures, "vgg19-tiny", blocks, style_scale=scale, size=96, scales=[96],
            solver={"iterations": 40, "history": 8},
        )  # fmt: skip
        gray = result.picture.mean(-1)
        spectrum = np.abs(np.fft.fft2(gray - gray.mean())) ** 2
        axes = (np.fft.fftfreq(side) for side in gray.shape)
        radius = np.hypot(*np.meshgrid(*axes, indexing="ij"))
        return (radius * spectrum).sum() / spectrum.sum()

    small, plain, large = (frequency(scale) for scale in (0.5, 1.0, 2.0))
    # Twenty seeds: 1.42 to 1.45, and 1.69 to 1.74; 1 if the scale were passed over.
    assert small > 1.2 * plain
    assert plain > 1.3 * large


def test_scales_and_layers_are_each_styles_own(pictures, tiny_weights, blocks):
    styles = [
        {"picture": str(pictures.style), "scale": 0.5, "layers": ["conv1_1"]},
        {"picture": str(blocks), "layers": ["conv2_1", "conv3_1"]},
    ]
    config = changed(
        Config(), styles=styles, style_scale=2.0, size=48,
        network={"weights": tiny_weights}, objective={"style_layers": list(LAYERS)},
    )  # fmt: skip
    files = [picture_of(s.picture) for s in styles_of(config)]
    ready = prepare(config, picture_of(pictures.content), files, None)
    first, second = ready.styles
    assert first.picture.shape == (40, 48, 3)
    assert (
        abs(second.picture.shape[0] * second.picture.shape[1] / (4 * 40 * 48) - 1)
        < 0.05
    )
    assert (first.layers, second.layers) == (("conv1_1",), ("conv2_1", "conv3_1"))
    assert ready.memory.work.more_styles == 40 * 48
    targets = make_targets(
        ready.network, ready.params, content=ready.content, styles=ready.styles,
        content_layers=(), style_layers=LAYERS,
    )  # fmt: skip
    for style, layer in ((first, "conv1_1"), (second, "conv2_1")):
        alone = make_targets(
            ready.network, ready.params, content=ready.content,
            styles=(Style(style.picture),), content_layers=(), style_layers=(layer,),
        )  # fmt: skip
        np.testing.assert_allclose(targets.style[layer], alone.style[layer], rtol=1e-6)


def test_styles_with_keys_from_python(pictures):
    array = np.zeros((4, 4, 3))
    given = [{"picture": array, "scale": 0.5, "layers": ["conv1_1"]}, pictures.style]
    sources = style_sources(given)
    assert sources[0] is array
    files = [file_name(source) for source in sources]
    assert style_keys(given, None, files)["styles"] == (
        StyleConfig(None, scale=0.5, layers=("conv1_1",)),
        StyleConfig(str(pictures.style)),
    )
    assert style_keys("a.png", None, ["a.png"]) == {"style": "a.png"}
    one = style_keys({"picture": "a.png", "weight": 0}, None, ["a.png"])["styles"]
    assert one == (StyleConfig("a.png", 0.0),)
    with pytest.raises(ValueError, match="style 1: picture is missing"):
        style_sources([{"weight": 1}])
    with pytest.raises(ValueError, match="unknown key wieght"):
        style_keys([{"picture": "a.png", "wieght": 1}], None, ["a.png"])
    with pytest.raises(ValueError, match="style_weights: a style with keys"):
        style_keys(given, [1, 2], files)


def test_a_sweep_from_python_takes_styles_and_textures(pictures, tiny_weights):
    array = np.asarray(read(pictures)[1][0].pixels)
    result = nst_jax.sweep(
        None,
        [{"picture": array, "weight": 2}, pictures.content],
        axes={"seed": [0, 1]},
        texture=(32, 24),
        tileable=True,
        style_scale=0.75,
        network={"weights": tiny_weights},
        objective={"style_layers": list(LAYERS[:2])},
        solver={"iterations": 2, "history": 2},
    )
    assert [picture.shape for picture in result.pictures] == [(24, 32, 3)] * 2
    styles = result.configs[0].styles
    assert [style.picture for style in styles] == [None, str(pictures.content)]
    assert styles[0].weight == 2
    assert result.configs[0].style_scale == 0.75


# --- records ----------------------------------------------------------------------


@pytest.fixture
def two(tmp_path, pictures, blocks, tiny_weights):
    """A config file with two styles, in the folder of one of them."""
    path = tmp_path / "two.yaml"
    path.write_text(
        f"content: {pictures.content}\nsize: 48\nstart: content\n"
        f"styles:\n- {{picture: {blocks.name}, weight: 2}}\n- {pictures.style}\n"
        f"network: {{weights: {tiny_weights}}}\n"
        "solver: {iterations: 6, history: 3}\n"
    )
    (tmp_path / blocks.name).write_bytes(blocks.read_bytes())
    return path


def test_a_run_of_two_styles_is_recorded_and_repeated(two, run_cli, workdir):
    ran = run_cli("stylize", "--config", two, "--out", "one", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    manifest = json.loads((workdir / "one" / "manifest.json").read_text())
    assert list(manifest["inputs"]) == ["content", "style 1", "style 2"]
    assert manifest["inputs"]["style 1"]["file"] == str(two.parent / "blocks.png")
    assert len({entry["sha256"] for entry in manifest["inputs"].values()}) == 3
    again = workdir / "one" / "config.yaml"
    assert load(again).styles == repeatable(load(two)).styles
    ran = run_cli("stylize", "--config", again, "--out", "two", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    one, other = ((workdir / n / "result.png").read_bytes() for n in ("one", "two"))
    assert one == other


def test_a_run_goes_on_with_the_same_styles_only(two, run_cli, workdir, pictures):
    assert run_cli("stylize", "--config", two, "--out", "one", "--quiet").code == 0
    resume = ("stylize", "--config", two, "--resume", "--out", "one", "--quiet")
    assert run_cli(*resume).code == 0
    weights = run_cli(
        *resume, "--style", two.parent / "blocks.png", "--style", pictures.style,
        "--style-weight", 1, "--style-weight", 1,
    )  # fmt: skip
    assert weights.code == 2
    assert "styles was " in weights.err
    other = run_cli(*resume, "--style", pictures.content, "--style", pictures.style)
    assert other.code == 2
    assert "styles, style 1 was" in other.err
    assert "SHA-256" in other.err


def test_an_input_is_not_overwritten(two, run_cli):
    out = two.parent / "blocks.png"
    ran = run_cli("stylize", "--config", two, "--out", out, "--overwrite", "--quiet")
    assert ran.code == 2
    assert "blocks.png" in ran.err


@pytest.mark.run
@pytest.mark.slow
def test_two_styles_in_a_sweep_are_the_runs_by_themselves(
    two, pictures, workdir, run_cli
):
    axes = ("alpha=1e-3,1e-2", "style_scale=1,1.5")
    ran = run_cli("sweep", "--config", two, *axes, "--out", "sweep", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    alone = run_cli(
        "stylize", "--config", two, "--out", "alone", "--quiet",
        "objective.alpha=1e-3", "style_scale=1.5",
    )  # fmt: skip
    assert alone.code == 0
    lane = workdir / "sweep" / "lanes" / "0001" / "result.png"
    ours, theirs = (
        np.asarray(Image.open(path), float)
        for path in (lane, workdir / "alone" / "result.png")
    )
    np.testing.assert_allclose(ours, theirs, atol=3)


@pytest.mark.slow
def test_statistics_of_a_sweep_compile_apart(
    stylize_cli, run_cli, pictures, tiny_weights
):
    ran = run_cli(
        "sweep", "--content", pictures.content, "--style", pictures.style,
        "--weights", tiny_weights, "--size", 48, "solver.iterations=4", "--out", "out",
        "style_loss=gram,wasserstein", "seed=0,1",
    )  # fmt: skip
    assert (ran.code, ran.err) == (0, "")
    assert "style_loss gram" in ran.out
    assert "style_loss wasserstein" in ran.out


# --- the config -------------------------------------------------------------------


def test_what_is_given_later_counts():
    base = from_tree({"style": "a.png"})
    both = override(base, ["styles=[b.png, {picture: c.png, weight: 3}]"])
    assert both.style is None
    assert [(s.picture, s.weight) for s in both.styles] == [("b.png", 1), ("c.png", 3)]
    assert override(both, ["style=d.png"]).styles is None
    assert from_tree(dict_of(both)) == both
    assert input_files(both) == ["b.png", "c.png"]
    named = {"content": "x.png", "style 1": "b.png", "style 2": "c.png"}
    assert picture_files(changed(both, content="x.png")) == named


def dict_of(config):
    from nst_jax.yamltext import parse_yaml

    return parse_yaml(to_yaml(config), where="test")


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"style": "a", "styles": ["b"]}, "style and styles are given"),
        ({"styles": []}, "styles: expected pictures, as"),
        ({"styles": "a.png"}, "styles: expected pictures, as"),
        ({"styles": [{"weight": 1}]}, "styles, style 1: picture is missing"),
        (
            {"styles": ["a", {"picture": "b", "wieght": 1}]},
            "style 2: unknown key wieght",
        ),
        (
            {"styles": [{"picture": "a", "weight": -1}]},
            "style 1: weight: a weight must",
        ),
        ({"styles": [{"picture": "a", "weight": 0}]}, "styles: all weights are 0"),
        ({"styles": [{"picture": "a", "scale": 0}]}, "scale of a style must be from"),
        ({"style_scale": 100}, "scale of a style must be from 0.0625 to 16, not 100"),
        (
            {"objective": {"layer_weights": "steep"}},
            "expected one of equal, per-channel",
        ),
    ],
)
def test_bad_styles(tree, message):
    with pytest.raises(ValueError, match=r"^config: ") as caught:
        from_tree(tree)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--style", "S", "--style-weight", "1", "--style-weight", "2"],
         "--style-weight: 1 style, but 2 weights"),
        (["--style", "S", "--style", "S", "--style-weight", "1"],
         "--style-weight: 2 styles, but 1 weight: give one weight for each style"),
        (["--style-weight", "1"], "--style-weight is for styles given with --style"),
        (["--style", "S", "--style-weight", "heavy"], "expected a number"),
        (["--style", "S", "objective.style_loss=grams"], "unknown style_loss 'grams'"),
        (["--style", "S", "--style-scale", "0.1"],
         "the style picture is 5 x 4 at size 48 and style scale 0.1; conv5_1 needs"),
        (["styles=[{picture: S, layers: [conv1_2]}]"],
         "style 1 has the layer conv1_2, which is none of objective.style_layers"),
        (["styles=[{picture: S, layers: [conv1_1]}]"],
         "none has a part in the style layer conv2_1"),
    ],
)  # fmt: skip
def test_bad_styles_of_a_run(run_cli, pictures, tiny_weights, arguments, message):
    given = [text.replace("S", str(pictures.style)) if "S" in text else text
             for text in arguments]  # fmt: skip
    ran = run_cli(
        "stylize", "--content", pictures.content, "--weights", tiny_weights,
        "--size", "48", "--out", "out", *given,
    )  # fmt: skip
    assert ran.code == 2
    assert message in ran.err
    assert ran.err.count("\n") == 1
