"""Colours of a run: matched before or after, or kept while luminance is stylised."""

import json

import numpy as np
import pytest
from PIL import Image

import nst_jax
from nst_jax.colours import Recolour, check_colours
from nst_jax.config import Config, changed
from nst_jax.features.gray import Gray
from nst_jax.images.color import colour_statistics
from nst_jax.images.io import Picture, load
from nst_jax.images.luminance import Y, luminance
from nst_jax.prepare import prepare
from nst_jax.run import run
from nst_jax.solve.loop import _chunk
from tests.conftest import SMALL
from tests.test_resume import same

METHODS = ("pca", "chol", "ot")
ITERATIONS = 12


def rgb(kind: str, height=40, width=48) -> np.ndarray:
    """A reddish photo, or a bluish style; colours well inside [0, 1]."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = np.stack([np.sin(x / 3), np.cos(y / 5), np.sin((x + y) / 4)], axis=-1)
    if kind == "photo":
        mixing, mean = np.array([[5, 2, 1], [0, 3, 2], [1, 0, 2]]), [0.6, 0.45, 0.35]
    else:
        mixing, mean = np.array([[1, 0, 2], [1, 3, 1], [0, 2, 6]]), [0.3, 0.4, 0.6]
    return (mean + 0.03 * waves[..., ::-1] @ mixing).astype(np.float32)


def chroma(pixels) -> np.ndarray:
    """What is left of a picture without its luminance."""
    return pixels - (pixels @ Y)[..., None]


def chroma_distance(pixels, photo) -> float:
    return float(np.sqrt(np.mean((chroma(pixels) - chroma(photo)) ** 2)))


def statistics_distance(pixels, photo) -> float:
    own, other = colour_statistics(pixels), colour_statistics(photo)
    return sum(float(np.abs(a - b).max()) for a, b in zip(own, other, strict=True))


@pytest.fixture(scope="module")
def made(tiny_weights):
    """``made(match="pca")``: a small run from the photo, with these colours."""

    def stylized(*, content=None, style=None, start="content", solver=None, **colours):
        return nst_jax.stylize(
            rgb("photo") if content is None else content,
            rgb("style") if style is None else style,
            size=48,
            start=start,
            network={"weights": tiny_weights},
            objective={
                "alpha": 1e-4,
                "content_layers": ["conv3_1"],
                "style_layers": ["conv1_1", "conv2_1"],
            },
            solver={"iterations": ITERATIONS, "history": 4, **(solver or {})},
            colours=colours,
        )

    return stylized


@pytest.fixture(scope="module")
def plain(made):
    return made()


# --- before and after -------------------------------------------------------------


@pytest.mark.run
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_matching_brings_the_photos_colours_back(made, plain, method, when):
    photo = rgb("photo")
    matched = made(match=method, when=when)
    assert statistics_distance(plain.picture, photo) > 0.02
    near = statistics_distance(matched.picture, photo)
    assert near < statistics_distance(plain.picture, photo) / 2
    if when == "after":  # exactly, as nothing had to be clipped
        assert near < 1e-5


def test_before_changes_the_style_and_after_the_result_only(made, plain):
    before, after = made(match="pca"), made(match="pca", when="after")
    totals = [[r.terms.total for r in x.records] for x in (plain, before, after)]
    assert totals[2] == totals[0]
    assert totals[1] != totals[0]


@pytest.mark.run
def test_strength_is_in_between(made, plain):
    whole = made(match="ot", when="after").picture
    half = made(match="ot", when="after", strength=0.5).picture
    np.testing.assert_allclose(half, (plain.picture + whole) / 2, atol=1e-5)
    for when in ("before", "after"):
        none = made(match="ot", when=when, strength=0.0)
        np.testing.assert_array_equal(none.picture, plain.picture)


def test_matching_compiles_nothing_anew(made, plain):
    programs = _chunk._cache_size()
    made(match="pca")
    made(match="chol", when="after", strength=0.3)
    assert _chunk._cache_size() == programs
    made(preserve="luminance")
    assert _chunk._cache_size() == programs + 1


def test_a_style_in_the_contents_colours_is_left_as_it_is():
    photo = Picture(rgb("photo"), None, "photo")
    style = Picture(rgb("style"), None, "style")
    colours = changed(Config(), colours={"match": "pca"}).colours
    recolour = Recolour()
    content, (matched,), start = recolour(colours, photo, [style], None)
    assert content is photo
    assert start is None
    assert statistics_distance(matched.pixels, photo.pixels) < 1e-5
    # Once for all lanes that have these pictures and colours.
    assert recolour(colours, photo, [style], None)[1] == (matched,)
    (again,) = recolour(colours, photo, [matched], None)[1]
    np.testing.assert_allclose(again.pixels, matched.pixels, atol=1e-5)
    same = recolour(Config().colours, photo, [style], photo)
    assert same == (photo, (style,), photo)


# --- luminance --------------------------------------------------------------------


@pytest.mark.run
@pytest.mark.parametrize("start", ["content", "noise", "style", "content-recoloured"])
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_luminance_keeps_the_photos_chroma(made, plain, start, solver):
    photo = rgb("photo")
    result = made(preserve="luminance", start=start, solver={"name": solver})
    # Not a pixel is so light or dark that it had to be clipped.
    inside = ((result.picture > 0) & (result.picture < 1)).all(axis=-1)
    assert inside.mean() > 0.9
    apart = np.abs(chroma(result.picture) - chroma(photo))[inside]
    assert apart.max() < 1e-6
    assert np.abs(luminance(result.picture) - luminance(photo)).max() > 0.02
    assert chroma_distance(plain.picture, photo) > 0.01


def test_styles_of_one_luminance_give_one_picture(made):
    coloured, gray = made(preserve="luminance"), None
    gray = made(preserve="luminance", style=luminance(rgb("style")))
    np.testing.assert_array_equal(coloured.picture, gray.picture)
    other = made(preserve="luminance", style=rgb("style")[:, ::-1].copy())
    assert (other.picture != coloured.picture).any()


@pytest.mark.parametrize("start", ["noise", "content"])
def test_the_run_itself_is_gray(tiny_weights, start):
    config = changed(
        Config(),
        size=48,
        start=start,
        network={"weights": tiny_weights},
        colours={"preserve": "luminance"},
    )
    photo, style = (Picture(rgb(kind), None, kind) for kind in ("photo", "style"))
    prepared = prepare(config, photo, [style], None)
    assert prepared.extract == Gray(prepared.network)
    (style,) = prepared.styles
    for picture in (prepared.content, style.picture, prepared.start):
        assert np.ptp(np.asarray(picture), axis=-1).max() == 0
    assert np.asarray(prepared.start).std() > 0.05
    # Mean and contrast of the style are the photo's; section 5 of the paper.
    photo_gray = luminance(rgb("photo"))
    assert np.mean(style.picture) == pytest.approx(photo_gray.mean(), abs=1e-3)
    assert np.std(style.picture) == pytest.approx(photo_gray.std(), abs=5e-3)


@pytest.mark.run
def test_a_gray_photo_stays_gray(made):
    gray = luminance(rgb("photo"))
    for colours in ({"preserve": "luminance"}, {"match": "pca", "when": "after"}):
        result = made(content=gray, **colours)
        assert np.ptp(result.picture, axis=-1).max() < 1e-5


@pytest.mark.run
def test_the_box_is_of_the_luminance(made):
    photo = rgb("photo") * 1.6 - 0.3
    result = made(
        preserve="luminance", content=np.clip(photo, 0, 1), solver={"box": "during"}
    )
    assert result.picture.min() >= 0
    assert result.picture.max() <= 1
    assert result.records[-1].terms.total < result.records[0].terms.total


def test_nothing_is_compiled_or_done_without_colours(tiny_weights):
    config = changed(Config(), size=48, network={"weights": tiny_weights})
    photo, style = (Picture(rgb(kind), None, kind) for kind in ("photo", "style"))
    prepared = prepare(config, photo, [style], None)
    assert prepared.extract is prepared.network
    picture = rgb("style")
    assert prepared.finish(picture) is picture


# --- alpha ------------------------------------------------------------------------


@pytest.mark.run
def test_what_is_transparent_lends_no_colours(made):
    """A photo whose left half is cut out: white there, which nobody sees."""
    alpha = np.ones((40, 48, 1), np.float32)
    alpha[:, :24] = 0
    result = made(content=np.dstack([rgb("photo"), alpha]), match="pca", when="after")
    seen = result.picture[:, 24:]
    wanted = colour_statistics(rgb("photo")[:, 24:])
    own = colour_statistics(seen)
    np.testing.assert_allclose(own.mean, wanted.mean, atol=1e-3)
    np.testing.assert_allclose(own.covariance, wanted.covariance, atol=1e-3)


# --- files and sweeps --------------------------------------------------------------


@pytest.mark.run
def test_snapshots_and_result_are_finished(stylize_cli, workdir, pictures):
    stylize_cli("--out", "out", "--preserve-colours", "output.every=5")
    photo = load(pictures.content).pixels
    for name in ("result.png", "snapshots/iteration_0005.png"):
        pixels = load(workdir / "out" / name).pixels
        inside = ((pixels > 0) & (pixels < 1)).all(axis=-1)
        apart = np.abs(chroma(pixels) - chroma(photo))[inside]
        assert apart.max() < 1.5 / 255  # rounding to 8 bits
    config = (workdir / "out/config.yaml").read_text()
    assert "preserve: luminance" in config
    again = stylize_cli(
        "--config", "out/config.yaml", "--out", "again", "output.every=5"
    )
    assert again.code == 0
    same(workdir / "out", workdir / "again")


def test_the_flag_for_matching(stylize_cli, workdir):
    assert stylize_cli("--out", "out", "--match-colours", "chol").code == 0
    assert "match: chol" in (workdir / "out/config.yaml").read_text()


@pytest.fixture(scope="module")
def swept(pictures, tiny_weights, tmp_path_factory):
    """A sweep of colour modes; the folder."""
    from nst_jax.cli import main

    out = tmp_path_factory.mktemp("swept") / "out"
    lanes = [
        {"strength": 1},
        {"match": "pca"},
        {"match": "ot", "strength": 0.5},
        {"match": "chol", "when": "after"},
        {"preserve": "luminance"},
    ]
    sweep = out.with_suffix(".yaml")
    sweep.write_text(
        json.dumps(
            {
                "content": str(pictures.content),
                "style": str(pictures.style),
                "network": {"weights": str(tiny_weights)},
                "sweep": {"list": lanes},
            }
        )
    )
    code = main(["sweep", "--quiet", "--config", str(sweep), "--out", str(out), *SMALL])
    assert code == 0
    return out


@pytest.mark.run
@pytest.mark.slow
@pytest.mark.parametrize("lane", range(5))
def test_a_lane_is_the_run_of_its_config(swept, lane, workdir):
    place = swept / "lanes" / f"{lane:04d}"
    from nst_jax.config import load as load_config

    config = load_config(place / "config.yaml", ["output.dir=alone"])
    alone = run(config).folder
    assert alone is not None
    pixels = [load(folder / "result.png").pixels for folder in (place, alone)]
    # Side by side, sums are added in another order.
    assert np.abs(pixels[0] - pixels[1]).mean() < 2e-3


@pytest.mark.run
def test_colour_modes_share_a_program(swept):
    batches = json.loads((swept / "manifest.json").read_text())["batches"]
    assert [batch["lanes"] for batch in batches] == [[0, 1, 2, 3], [4]]
    pictures = [
        load(p / "result.png").pixels for p in sorted((swept / "lanes").iterdir())
    ]
    for i, one in enumerate(pictures):
        for other in pictures[:i]:
            assert np.abs(one - other).mean() > 1e-3
    with Image.open(swept / "sheet.png") as sheet:
        assert sheet.size[0] > 100


# --- bad input --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("colours", "reason"),
    [
        ({"preserve": "luminance", "match": "pca"}, "set one of them to none"),
        ({"preserve": "luminance", "strength": 0.5}, "belongs to colours.match"),
    ],
)
def test_contradictions_are_refused(colours, reason, stylize_cli, workdir):
    with pytest.raises(ValueError, match=reason):
        check_colours(changed(Config(), colours=colours))
    given = [f"colours.{key}={value}" for key, value in colours.items()]
    ran = stylize_cli("--out", "out", *given)
    assert ran.code == 2
    assert reason in ran.err
    assert not (workdir / "out").exists()


@pytest.mark.parametrize("value", ["match=median", "strength=1.1", "when=during"])
def test_unknown_values_are_refused(value, stylize_cli):
    ran = stylize_cli(f"colours.{value}")
    assert ran.code == 2
    assert f"colours.{value.partition('=')[0]}" in ran.err
