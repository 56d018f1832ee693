"""16 bits and colour profiles in the files that are written."""

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from nst_jax.images.encode import Encoding, profile_trouble
from nst_jax.images.io import load, read_settings, save
from tests.images.test_io import ENDINGS, SETTINGS, smooth, srgb_profile

WIDE = [ending for ending in ENDINGS if ending.lower() in (".png", ".tif", ".tiff")]
NARROW = [ending for ending in ENDINGS if ending not in WIDE]
each_wide = pytest.mark.parametrize("ending", WIDE)


def swapped_profile() -> bytes:
    """sRGB with red and green exchanged."""
    data = srgb_profile()
    for old, new in ((b"rXYZ", b"tmp!"), (b"gXYZ", b"rXYZ"), (b"tmp!", b"gXYZ")):
        data = data.replace(old, new)
    return data


def noise(height=20, width=31):
    return np.random.default_rng(0).random((height, width, 3), np.float32)


@each_wide
@pytest.mark.parametrize("with_alpha", [False, True])
def test_sixteen_bits_round_to_the_nearest_level(tmp_path, ending, with_alpha):
    pixels, path = noise(), tmp_path / f"a{ending}"
    alpha = noise()[..., 0] if with_alpha else None
    save(path, pixels, alpha=alpha, settings=SETTINGS, encoding=Encoding(16))
    decode = {"p": imagecodecs.png_decode, "t": imagecodecs.tiff_decode}
    values = decode[ending[1].lower()](path.read_bytes())
    assert values.dtype == np.uint16
    np.testing.assert_array_equal(values[..., :3], np.rint(pixels * np.float32(65535)))
    if alpha is not None:
        wanted = np.rint(alpha * np.float32(65535))
        np.testing.assert_array_equal(values[..., 3], wanted)
    picture = load(path)
    assert picture.notes == ()
    assert (picture.alpha is None) == (alpha is None)
    over_white = pixels if alpha is None else 1 + (pixels - 1) * alpha[..., None]
    np.testing.assert_allclose(picture.pixels, over_white, atol=1 / 65535)
    assert read_settings(path) == SETTINGS
    with Image.open(path) as image:  # another program reads it, too
        assert image.size == (31, 20)


@each_wide
@pytest.mark.parametrize("text", ["", "a", "ab"])
def test_bytes_of_sixteen_bits_are_deterministic(tmp_path, ending, text):
    made = set()
    encoding = Encoding(16, srgb_profile())  # which holds the time it was made at
    for _ in range(5):
        save(tmp_path / f"a{ending}", noise(), settings=text, encoding=encoding)
        made.add((tmp_path / f"a{ending}").read_bytes())
        load(tmp_path / f"a{ending}")  # leaves something in the memory
    assert len(made) == 1


@pytest.mark.parametrize("ending", NARROW)
def test_formats_of_eight_bits_refuse_sixteen(tmp_path, ending):
    with pytest.raises(ValueError, match=r"a\..*holds 8 bits; 16 need PNG or TIFF"):
        save(tmp_path / f"a{ending}", noise(), encoding=Encoding(16))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("ending", ENDINGS)
def test_colours_are_converted_and_the_profile_is_kept(tmp_path, ending, bits):
    if bits == 16 and ending in NARROW:
        pytest.skip("8 bits only")
    pixels, profile = smooth(), swapped_profile()
    save(tmp_path / f"a{ending}", pixels, encoding=Encoding(bits, profile))
    picture = load(tmp_path / f"a{ending}")
    assert picture.profile == profile
    lossy = ending.lower() in (".jpg", ".jpeg", ".webp")
    # Reading converts them back.
    assert np.abs(picture.pixels - pixels).mean() < (0.02 if lossy else 0.5 / 255)
    with Image.open(tmp_path / f"a{ending}") as image:
        if bits == 8 and not lossy:  # stored: red and green exchanged
            stored = np.asarray(image.convert("RGB")) / 255
            np.testing.assert_allclose(stored[..., 1], pixels[..., 0], atol=0.02)
            assert np.abs(stored[..., 0] - pixels[..., 0]).mean() > 0.05


def test_pillow_converts_alike(tmp_path):
    """ImageCms, on 8 bits, is off by no more than its own rounding."""
    profile = swapped_profile()
    save(tmp_path / "a.png", smooth(), encoding=Encoding(8, profile))
    srgb = Image.fromarray(np.rint(smooth() * 255).astype(np.uint8))
    other = ImageCms.profileToProfile(
        srgb, ImageCms.createProfile("sRGB"), io.BytesIO(profile)
    )
    assert other is not None
    with Image.open(tmp_path / "a.png") as image:
        apart = np.abs(np.asarray(image, np.int16) - np.asarray(other, np.int16))
    assert apart.max() <= 2


def test_profiles_that_cannot_be_written():
    assert profile_trouble(srgb_profile()) is None
    assert profile_trouble(swapped_profile()) is None
    gray = bytearray(srgb_profile())
    gray[16:20] = b"GRAY"
    assert "for GRAY, and the picture is RGB" in str(profile_trouble(bytes(gray)))
    assert profile_trouble(srgb_profile()[:200]) is not None
    assert profile_trouble(b"") is not None
