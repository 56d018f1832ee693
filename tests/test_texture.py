"""Textures: no content, any size, edges that fit together."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import nst_jax
from nst_jax.config import Config, from_tree, load, to_yaml
from nst_jax.images.resize import resample
from nst_jax.objective.losses import total_variation


def picture(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image, float)


LAYERS = (
    "objective.style_layers=[conv1_1, conv2_1, conv3_1]",
    "solver.iterations=30",
    "solver.history=6",
)


@pytest.fixture
def texture_cli(run_cli, pictures, tiny_weights):
    def run(*arguments):
        files = ("--style", pictures.style, "--weights", tiny_weights, "--out", "out")
        return run_cli("stylize", *files, *LAYERS, *arguments)

    return run


def seam_energy(picture: np.ndarray) -> list[float]:
    """Across the edges, over the mean inside: mean squared steps of rows, columns."""
    found = []
    for axis in (0, 1):
        steps = ((picture - np.roll(picture, 1, axis)) ** 2).mean((1 - axis, 2))
        found.append(float(steps[0] / steps[1:].mean()))
    return found


@pytest.mark.run
def test_the_seam_of_a_tileable_texture_is_no_rougher_than_its_inside(tiny_weights):
    """Of a style of soft blobs: what noise the start leaves has no seam anyhow."""
    rng = np.random.default_rng(0)
    blobs = ndimage.gaussian_filter(rng.random((64, 64, 3)), (4, 4, 0), mode="wrap")
    blobs = (blobs - blobs.min()) / np.ptp(blobs)

    def seam(tileable: bool) -> list[float]:
        result = nst_jax.stylize(
            None,
            blobs.astype(np.float32),
            texture=(64, 40),
            tileable=tileable,
            scales=(32, 64),
            network={"weights": tiny_weights},
            objective={"style_layers": ["conv1_1", "conv2_1", "conv3_1"]},
            solver={"iterations": 60, "history": 6},
        )
        assert result.picture.shape == (40, 64, 3)
        return seam_energy(result.picture)

    assert max(seam(True)) < 1.3
    assert min(seam(False)) > 2.5


def test_sides_are_rounded_to_what_pooling_divides_and_that_is_said(
    texture_cli, workdir
):
    ran = texture_cli("texture=[62, 41]", "tileable=true")
    assert ran.code == 0, ran.err
    assert "note: tileable: 62 x 41 became 64 x 40, which every pooling" in ran.out
    assert picture(workdir / "out" / "result.png").shape == (40, 64, 3)
    saved = load(workdir / "out" / "config.yaml")
    assert (saved.texture, saved.size, saved.content) == ((62, 41), 62, None)
    ran = texture_cli("texture=[62, 41]", "tileable=true", "--resume")
    assert ran.code == 0, ran.err


@pytest.mark.run
def test_a_texture_does_not_depend_on_alpha_or_content_layers(texture_cli, workdir):
    results = []
    for alpha in ("1", "1000"):
        ran = texture_cli("texture=[48, 32]", f"objective.alpha={alpha}", "--overwrite")
        assert ran.code == 0, ran.err
        results.append(picture(workdir / "out" / "result.png"))
    np.testing.assert_array_equal(*results)
    assert results[0].std() > 10


@pytest.mark.slow
def test_a_content_can_be_made_tileable_too(stylize_cli, workdir):
    ran = stylize_cli("--out", "out", "tileable=true", "start=content")
    assert ran.code == 0, ran.err
    assert picture(workdir / "out" / "result.png").shape == (40, 48, 3)


def test_the_command_takes_style_and_size(run_cli, pictures, tiny_weights, workdir):
    ran = run_cli(
        "texture", pictures.style, "--weights", tiny_weights, "--size", "56x32",
        "--tileable", "--out", "bark.png", *LAYERS,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert picture(workdir / "bark.png").shape == (32, 56, 3)
    for wrong in ("56x", "axb", "0x4"):
        ran = run_cli("texture", pictures.style, "--size", wrong)
        assert ran.code == 2
        assert "--size" in ran.err or "texture must be" in ran.err


@pytest.mark.run
@pytest.mark.slow
def test_a_sweep_makes_textures(run_cli, pictures, tiny_weights, workdir):
    ran = run_cli(
        "sweep", "--style", pictures.style, "--weights", tiny_weights, "--out", "out",
        "texture=[48, 32]", "tileable=true", "seed=0,1", *LAYERS,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    files = sorted((workdir / "out").rglob("lanes/**/*.png"))
    first, second = (picture(file) for file in files)
    assert first.shape == (32, 48, 3)
    assert np.abs(first - second).mean() > 1


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"texture": [64]}, "texture must be width and height"),
        ({"texture": [64, 0]}, "texture must be width and height"),
        ({"texture": [64, 32], "content": "a.png"}, "a texture has no content: give"),
        ({"texture": [64, 32], "start": "content"}, "no content to start from"),
        (
            {"texture": [64, 32], "regions": {"content": "a.png"}},
            "a texture has no regions",
        ),
        (
            {"tileable": True, "network": {"padding": "reflect"}},
            "needs its own padding",
        ),
    ],
)
def test_what_a_texture_cannot_have_is_refused(tree, message):
    with pytest.raises(ValueError, match=message):
        from_tree(tree)


def test_a_texture_has_its_own_size():
    config = from_tree({"texture": [64, 96]})
    assert config.size == 96
    with pytest.raises(ValueError, match="size is 50, but texture is"):
        from_tree({"size": 50}, base=config)
    assert from_tree({}, base=Config()) == Config()
    assert "texture" in to_yaml(config)


def test_circular_total_variation_counts_the_edges():
    rng = np.random.default_rng(0)
    x = rng.random((5, 4, 3))
    expected = sum(np.mean((x - np.roll(x, 1, axis)) ** 2) for axis in (0, 1))
    tv = total_variation(jnp.asarray(x), circular=True)
    assert float(tv) == pytest.approx(expected, rel=1e-6)
    ramp = jnp.asarray(np.linspace(0, 1, 8)[None, :, None] * np.ones((8, 8, 3)))
    assert total_variation(ramp, circular=True) > 5 * total_variation(ramp)


@pytest.mark.parametrize("size", [(24, 34), (9, 10)])
def test_circular_resampling_moves_with_its_picture(size):
    """Rolled by half its sides, a tile resamples to the rolled result."""
    tile = np.random.default_rng(0).random((12, 20, 3)).astype(np.float32)
    height, width = size[0] // 2 * 2, size[1]
    moved = resample(np.roll(tile, (6, 10), (0, 1)), height, width, circular=True)
    expected = np.roll(
        resample(tile, height, width, circular=True), (height // 2, width // 2), (0, 1)
    )
    np.testing.assert_allclose(moved, expected, atol=1e-5)
    assert not np.allclose(
        moved, resample(np.roll(tile, (6, 10), (0, 1)), height, width)
    )
