"""Regions from the files to the result: runs of the tiny network."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from nst_jax.features.vgg import device_params, network_of
from nst_jax.features.weights import read
from nst_jax.images.masks import COLOURS
from nst_jax.objective.losses import gram_matrix
from tests.conftest import HEIGHT, WIDTH

RED, BLUE = COLOURS["red"], COLOURS["blue"]


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    """Left red, right blue; all red; a gray one; and a second style."""
    folder = tmp_path_factory.mktemp("masks")
    halves = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    halves[:, : WIDTH // 2], halves[:, WIDTH // 2 :] = RED, BLUE
    red = np.zeros((HEIGHT // 2, WIDTH // 2, 3), np.uint8) + np.uint8(RED)
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3))
    for name, array in {
        "halves": halves,
        "red": red,
        "gray": halves[..., 0],
        "black": 0 * halves[..., 0],
        "noise": noise.astype(np.uint8),
    }.items():
        Image.fromarray(array).save(folder / f"{name}.png")
    return folder


def two_styles(pictures, masks, **regions):
    """The stripes for the red half, noise for the blue one."""
    first = {"picture": str(pictures.style), "regions": ["red"]}
    second = {"picture": str(masks / "noise.png"), "regions": ["blue"]}
    return (
        f"styles={json.dumps([first, second])}",
        f"regions.content={masks / 'halves.png'}",
        *(f"regions.{key}={json.dumps(value)}" for key, value in regions.items()),
    )


def gram_errors(weights, file, style, layer="conv1_1"):
    """Relative Gram errors of the left and of the right half of a picture."""
    loaded = read(weights)
    network, params = network_of(loaded), device_params(loaded)

    def gram(picture):
        x = jnp.asarray(np.asarray(picture, np.float32) / 255)
        return gram_matrix(network(params, x, (layer,))[layer])

    picture, wanted = np.asarray(Image.open(file)), gram(Image.open(style))
    halves = picture[:, : WIDTH // 2], picture[:, WIDTH // 2 :]
    scale = float(jnp.sum(wanted**2))
    return [float(jnp.sum((gram(half) - wanted) ** 2)) / scale for half in halves]


@pytest.mark.run
@pytest.mark.parametrize("mode", ["simple", "inside", "all"])
def test_each_region_gets_its_own_style(
    run_cli, pictures, masks, tiny_weights, workdir, mode
):
    ran = run_cli(
        "stylize", "--content", pictures.content, "--weights", tiny_weights,
        "--out", "out", *two_styles(pictures, masks, mode=mode), f"size={WIDTH}",
        "objective.content_layers=[conv2_1]",
        "objective.style_layers=[conv1_1,conv1_2]",
        "objective.alpha=1e-6", "solver.iterations=40", "start=noise", "scales=null",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    result = workdir / "out" / "result.png"
    left, right = gram_errors(tiny_weights, result, pictures.style)
    assert left < 0.5 * right
    left, right = gram_errors(tiny_weights, result, masks / "noise.png")
    assert right < 0.5 * left
    manifest = json.loads((workdir / "out" / "manifest.json").read_text())
    assert len(manifest["inputs"]["mask of content"]["sha256"]) == 64


@pytest.mark.run
def test_a_mask_of_one_region_is_no_mask(stylize_cli, masks, workdir):
    assert stylize_cli("--out", "plain", "start=noise").code == 0
    for key in ("content", "style"):
        ran = stylize_cli(
            "--out", key, f"regions.content={masks / 'red.png'}", "start=noise",
            *([f"regions.style={masks / 'red.png'}"] if key == "style" else []),
        )  # fmt: skip
        assert ran.code == 0, ran.err
        assert "note: content: the mask of 24 x 20 was resized to 48 x 40" in ran.out
        plain, masked = (
            np.asarray(Image.open(workdir / name / "result.png"), float)
            for name in ("plain", key)
        )
        assert np.abs(plain - masked).mean() < 1


@pytest.mark.run
def test_a_region_that_is_kept_stays_the_content(stylize_cli, masks, pictures, workdir):
    ran = stylize_cli(
        "--out", "out", f"regions.content={masks / 'halves.png'}",
        "regions.keep=[blue]", "start=noise", "scales=[24, 48]",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    made = np.asarray(Image.open(workdir / "out" / "result.png"), int)
    content = np.asarray(Image.open(pictures.content), int)
    np.testing.assert_array_equal(made[:, 24:], content[:, 24:])
    assert np.abs(made - content)[:, :24].mean() > 5


@pytest.mark.run
def test_what_is_kept_is_not_recoloured_either(stylize_cli, masks, pictures, workdir):
    ran = stylize_cli(
        "--out", "out", f"regions.content={masks / 'halves.png'}",
        "regions.keep=[blue]", "start=content", "colours.match=pca",
        "colours.when=after",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    made = np.asarray(Image.open(workdir / "out" / "result.png"), int)
    content = np.asarray(Image.open(pictures.content), int)
    np.testing.assert_array_equal(made[:, 24:], content[:, 24:])
    assert np.abs(made - content)[:, :24].mean() > 3


@pytest.mark.run
def test_the_alpha_channel_is_a_mask(stylize_cli, pictures, workdir):
    ran = stylize_cli(
        "--content", pictures.transparent, "--out", "out", "start=noise",
        "regions.content=alpha", "regions.keep=[transparent]",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    made = np.asarray(Image.open(workdir / "out" / "result.png"), int)
    assert (made[:, :20, :3] == 255).all()  # transparent parts are read over white
    assert np.ptp(made[:, 28:, :3]) > 50


def test_a_run_with_regions_goes_on_but_not_with_other_masks(
    stylize_cli, masks, workdir
):
    arguments = ("--out", "out", f"regions.content={masks / 'halves.png'}")
    assert stylize_cli(*arguments, "solver.iterations=4").code == 0
    ran = stylize_cli(*arguments, "--resume", "solver.iterations=6")
    assert ran.code == 0, ran.err
    ran = stylize_cli(
        "--out", "out", "--resume", f"regions.content={masks / 'red.png'}"
    )
    assert ran.code == 2
    assert "mask of content was" in ran.err


@pytest.mark.run
def test_a_sweep_has_regions_and_their_mode_is_an_axis(
    run_cli, pictures, masks, tiny_weights, workdir
):
    from tests.conftest import SMALL

    ran = run_cli(
        "sweep", "--content", pictures.content, "--weights", tiny_weights,
        "--out", "out", *two_styles(pictures, masks, keep=[]), *SMALL,
        "mode=simple,inside", "alpha=1e-4,1e-2", "start=noise",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    files = sorted((workdir / "out").rglob("lanes/**/*.png"))
    pixels = [np.asarray(Image.open(file), float) for file in files]
    assert len(pixels) == 4
    assert np.abs(pixels[0] - pixels[2]).mean() > 0.5
    again = run_cli(
        "stylize", "--content", pictures.content, "--weights", tiny_weights,
        "--out", "alone", *two_styles(pictures, masks, mode="inside"), *SMALL,
        "objective.alpha=1e-4", "start=noise",
    )  # fmt: skip
    assert again.code == 0, again.err
    alone = np.asarray(Image.open(workdir / "alone" / "result.png"), float)
    assert min(np.abs(alone - lane).mean() for lane in pixels) < 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["regions.style={halves}"], "regions.content is missing"),
        (["regions.content={noise}"], "noise.png: holds too many colours for a mask"),
        (
            ["regions.content={halves}", "regions.style={red}"],
            "region blue of the content's mask is in no style: paint it into a style's "
            "mask, or leave it as it is with keep: [blue]",
        ),
        (["regions.content={halves}", "regions.keep=[sky]"], "no region sky; it has"),
        (["regions.content={halves}", "regions.weights={{sky: 2}}"], "no region sky"),
        (["regions.content={red}", "regions.keep=[red]"], "nothing is left to get a"),
        (["regions.content=alpha"], "content.png has no transparent part"),
        (["regions.content=[{gray}, {black}]"], "black.png: this region is empty"),
        (
            ["regions.content={halves}", "regions.styles=[{halves}, {red}]"],
            "regions.styles has 2 masks, but there are 1 styles",
        ),
        (
            ["regions.content={halves}", "regions.style=[{gray}]"],
            "1 masks of a style, but the content has 2 regions: red, blue",
        ),
        (
            ["regions.content={halves}", "regions.mode=inside",
             "objective.style_layers=[conv5_1]"],
            "nothing is left of region red at any style layer",
        ),
        (["regions.mode=out", "regions.content={halves}"], "expected one of simple"),
        (
            ["regions.content={halves}", "objective.style_loss=sliced-wasserstein"],
            "style_loss sliced-wasserstein knows no regions",
        ),
    ],
)  # fmt: skip
def test_bad_masks_are_refused(stylize_cli, masks, settings, message):
    names = ("halves", "red", "gray", "black", "noise")
    files = {name: masks / f"{name}.png" for name in names}
    ran = stylize_cli("--out", "out", *(text.format(**files) for text in settings))
    assert ran.code == 2
    assert message in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_region_that_vanishes_at_a_layer_is_said(stylize_cli, masks):
    ran = stylize_cli(
        "--out", "out", f"regions.content={masks / 'halves.png'}",
        "regions.mode=inside", "objective.style_layers=[conv1_1, conv4_4]",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "note: region blue vanishes at conv4_4, and does not count there" in ran.out
