import errno
import io
import os
import stat
import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from nst_jax.images import io as picture_io
from nst_jax.images.encode import to_uint8
from nst_jax.images.io import (
    from_array,
    load,
    read_settings,
    save,
    writable_ending,
)

ENDINGS = [".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".PNG"]
# Quotes, umlauts, kanji, an emoji outside the 16-bit plane, a line break at the end.
SETTINGS = 'content: "Tübingen.jpg"\nalpha: 1e-3 # é, 星月夜 🎨\n'


def noise(height=24, width=40, channels=3, dtype: Any = np.uint8, seed=0):
    shape = (height, width, channels)[: 3 if channels > 1 else 2]
    top = np.iinfo(dtype).max + 1
    return np.random.default_rng(seed).integers(0, top, shape).astype(dtype)


def smooth(height=48, width=64):
    """A picture without fine detail: lossy formats keep it well."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = [np.sin(x / 15), np.cos(y / 12), np.sin((x + y) / 20)]
    return (0.5 + 0.4 * np.stack(waves, axis=-1)).astype(np.float32)


def alpha_of(picture):
    assert picture.alpha is not None
    return picture.alpha


def stored(path, image, **options):
    image.save(path, **options)
    return path


def chunk(kind, data):
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


def png(values, depth, colour_type, *chunks):
    """A PNG written by hand; ``chunks`` go before the pixels."""
    height, width = values.shape[:2]
    big = values.astype(">u2" if depth == 16 else "u1")
    rows = b"".join(b"\0" + row.tobytes() for row in big)
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            *chunks,
            chunk(b"IDAT", zlib.compress(rows)),
            chunk(b"IEND", b""),
        ]
    )


# --- to_uint8 ---------------------------------------------------------------------


def test_to_uint8_rounds_to_nearest_and_clips():
    values = np.array([-0.2, 0.0, 0.49 / 255, 0.51 / 255, 127.4 / 255, 1.0, 1.7])
    np.testing.assert_array_equal(to_uint8(values), [0, 0, 0, 1, 127, 255, 255])
    np.testing.assert_array_equal(to_uint8(np.array([np.inf, -np.inf])), [255, 0])
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(levels.astype(np.float32) / 255), levels)


def test_to_uint8_refuses():
    with pytest.raises(ValueError, match="NaN"):
        to_uint8(np.array([0.5, np.nan], np.float32))
    with pytest.raises(TypeError, match="uint8"):
        to_uint8(np.array([3], np.uint8))


# --- round trips ------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".png", ".tif", ".tiff", ".PNG"])
def test_lossless_round_trip(tmp_path, ending):
    levels = noise()
    save(tmp_path / f"a{ending}", levels.astype(np.float32) / 255)
    picture = load(tmp_path / f"a{ending}")
    np.testing.assert_array_equal(picture.pixels, levels / np.float32(255))
    assert picture.pixels.dtype == np.float32
    assert picture.pixels.flags.c_contiguous
    assert picture[1:] == (None, f"a{ending}", (), None)


@pytest.mark.parametrize(
    ("ending", "bound", "mean"), [(".jpg", 0.02, 0.003), (".webp", 0.04, 0.006)]
)
def test_lossy_round_trip(tmp_path, ending, bound, mean):
    save(tmp_path / f"a{ending}", smooth())
    error = np.abs(load(tmp_path / f"a{ending}").pixels - smooth())
    assert error.max() < bound
    assert error.mean() < mean


def test_quality_matters(tmp_path):
    sizes = []
    for quality in (30, 95):
        save(tmp_path / "a.jpg", smooth(), quality=quality)
        sizes.append((tmp_path / "a.jpg").stat().st_size)
    assert sizes[0] < sizes[1]
    bad: Any
    for bad in (0, 101, True, "95"):
        with pytest.raises(ValueError, match="quality"):
            save(tmp_path / "a.jpg", smooth(), quality=bad)


@pytest.mark.parametrize("ending", [".png", ".tif", ".webp"])
def test_alpha_round_trip(tmp_path, ending):
    alpha = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (48, 1))
    save(tmp_path / f"a{ending}", smooth(), alpha=alpha)
    picture = load(tmp_path / f"a{ending}")
    assert alpha_of(picture).dtype == np.float32
    np.testing.assert_allclose(alpha_of(picture), alpha, atol=0.501 / 255)
    over_white = alpha[..., None] * smooth() + 1 - alpha[..., None]
    bound = 0.06 if ending == ".webp" else 1.01 / 255
    np.testing.assert_allclose(picture.pixels, over_white, atol=bound)


def test_jpeg_gets_alpha_over_white(tmp_path):
    alpha = np.zeros((48, 64), np.float32)
    alpha[:, 32:] = 1.0
    save(tmp_path / "a.jpg", np.zeros((48, 64, 3), np.float32), alpha=alpha)
    picture = load(tmp_path / "a.jpg")
    assert picture.alpha is None
    np.testing.assert_allclose(picture.pixels[:, :30], 1.0, atol=0.02)
    np.testing.assert_allclose(picture.pixels[:, 34:], 0.0, atol=0.02)


@pytest.mark.parametrize("ending", ENDINGS)
def test_bytes_are_deterministic(tmp_path, ending):
    for name in ("a", "b"):
        save(tmp_path / f"{name}{ending}", smooth(), settings=SETTINGS)
    first, second = (tmp_path / f"{name}{ending}" for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_values_are_clipped_when_written(tmp_path):
    pixels = np.full((20, 20, 3), 1.8, np.float32)
    pixels[:10] = -0.7
    save(tmp_path / "a.png", pixels)
    loaded = load(tmp_path / "a.png").pixels
    assert (loaded[:10] == 0).all()
    assert (loaded[10:] == 1).all()


# --- kinds of files ---------------------------------------------------------------


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation(tmp_path, turn, kind):
    upright = np.full((32, 48, 3), 40, np.uint8)
    upright[:8, :8] = (250, 40, 40)  # top left red
    upright[:8, -8:] = (40, 250, 40)  # top right green
    upright[-8:, :8] = (40, 40, 250)  # bottom left blue
    # Where the upright picture's top and left side lie in the file (EXIF 2.3, 4.6.4).
    in_file = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: np.swapaxes(upright, 0, 1),
        6: np.rot90(upright, 1),
        7: np.swapaxes(upright[::-1, ::-1], 0, 1),
        8: np.rot90(upright, -1),
    }[turn]
    exif = Image.Exif()
    exif[274] = turn
    image = Image.fromarray(np.ascontiguousarray(in_file))
    options = {"lossless": True} if kind == "webp" else {}
    if kind == "jpg":
        options = {"quality": 100, "subsampling": 0}
    path = stored(tmp_path / f"a.{kind}", image, exif=exif, **options)
    picture = load(path)
    assert picture.notes == ()
    np.testing.assert_allclose(picture.pixels * 255, upright, atol=4)


def test_alpha_is_turned_too(tmp_path):
    rgba = noise(24, 40, 4)
    exif = Image.Exif()
    exif[274] = 6
    path = stored(tmp_path / "a.png", Image.fromarray(rgba), exif=exif)
    picture = load(path)
    # 6: the first row of the file is the right side of the picture.
    np.testing.assert_allclose(alpha_of(picture)[:, -1] * 255, rgba[0, :, 3], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "broken", "note"),
    [
        (
            "a.jpg",
            b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01",
            "Corrupt EXIF",
        ),  # cut off
        ("a.webp", b"XX*\0\x08\0\0\0\xff\xff", "taken as upright"),  # not II or MM
    ],
)
def test_damaged_exif_is_a_note(tmp_path, name, broken, note):
    image = Image.fromarray(to_uint8(smooth()))
    picture = load(stored(tmp_path / name, image, exif=broken))
    np.testing.assert_allclose(picture.pixels, smooth(), atol=0.1)
    assert len(picture.notes) == 1
    assert note in picture.notes[0]


def test_cmyk(tmp_path):
    inks = np.zeros((20, 60, 4), np.uint8)
    inks[:, :20] = (0, 255, 255, 0)  # red
    inks[:, 20:40] = (0, 0, 0, 255)  # black
    image = Image.fromarray(inks, mode="CMYK")
    for name, options in (("a.jpg", {"quality": 100}), ("a.tif", {})):
        pixels = load(stored(tmp_path / name, image, **options)).pixels
        for x, colour in ((10, (1, 0, 0)), (30, (0, 0, 0)), (50, (1, 1, 1))):
            np.testing.assert_allclose(pixels[10, x], colour, atol=0.02)


def test_gray(tmp_path):
    levels = noise(channels=1)
    for name in ("a.png", "a.tif", "a.bmp", "a.gif"):
        pixels = load(stored(tmp_path / name, Image.fromarray(levels))).pixels
        np.testing.assert_allclose(pixels * 255, np.dstack([levels] * 3), atol=1e-4)


def test_one_bit(tmp_path):
    bits = noise(channels=1) > 127
    for name in ("a.png", "a.tif", "a.bmp"):
        path = stored(tmp_path / name, Image.fromarray(bits))
        np.testing.assert_array_equal(load(path).pixels, np.dstack([bits] * 3))


def test_gray_with_alpha(tmp_path):
    values = noise(channels=2)
    picture = load(stored(tmp_path / "a.png", Image.fromarray(values, mode="LA")))
    gray, alpha = values[..., 0] / 255, values[..., 1] / 255
    np.testing.assert_allclose(alpha_of(picture), alpha, atol=1e-6)
    expected = np.dstack([gray * alpha + 1 - alpha] * 3)
    np.testing.assert_allclose(picture.pixels, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
def test_palette_with_transparency(tmp_path, name):
    image = Image.fromarray(
        np.repeat(np.arange(4, dtype=np.uint8), 100).reshape(20, 20)
    )
    image = image.convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    picture = load(stored(tmp_path / name, image, transparency=1))
    expected = np.repeat([[1, 0, 0], [1, 1, 1], [0, 0, 1], [9 / 255] * 3], 100, axis=0)
    np.testing.assert_allclose(picture.pixels.reshape(-1, 3), expected, atol=1e-6)
    np.testing.assert_array_equal(
        alpha_of(picture).ravel(), np.repeat([1.0, 0.0, 1.0, 1.0], 100)
    )


def test_opaque_alpha_is_none(tmp_path):
    rgba = noise(channels=4)
    rgba[..., 3] = 255
    assert load(stored(tmp_path / "a.png", Image.fromarray(rgba))).alpha is None


def test_first_frame_of_several(tmp_path):
    frames = [Image.fromarray(np.full((20, 20), v, np.uint8)) for v in (60, 200)]
    for name in ("a.gif", "a.tif", "a.webp"):
        options: dict = {"lossless": True} if name == "a.webp" else {}
        frames[0].save(
            tmp_path / name, save_all=True, append_images=frames[1:], **options
        )
        np.testing.assert_allclose(load(tmp_path / name).pixels * 255, 60, atol=1e-4)


def test_format_is_told_by_content(tmp_path):
    levels = noise()
    Image.fromarray(levels).save(tmp_path / "a.jpg", format="PNG")
    np.testing.assert_allclose(load(tmp_path / "a.jpg").pixels * 255, levels, atol=1e-4)


# --- 16 bits and floats -----------------------------------------------------------


@pytest.mark.parametrize("encoding", ["png", "tiff", "tiff deflate"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_keep_their_precision(tmp_path, encoding, channels):
    values = noise(channels=channels, dtype=np.uint16)
    if encoding == "png":
        data = imagecodecs.png_encode(values)
    else:
        compression = encoding.partition(" ")[2] or None
        data = imagecodecs.tiff_encode(values, compression=compression)
    (tmp_path / "a").write_bytes(data)
    picture = load(tmp_path / "a")
    unit = values / 65535
    if channels == 4:
        np.testing.assert_allclose(alpha_of(picture), unit[..., 3], atol=1e-6)
        unit = unit[..., :3] * unit[..., 3:] + 1 - unit[..., 3:]
    expected = np.dstack([unit] * 3) if channels == 1 else unit
    # A 256th of an 8-bit step is 1.5e-5.
    np.testing.assert_allclose(picture.pixels, expected, atol=1e-6)


def test_sixteen_bit_gray_with_alpha(tmp_path):
    values = noise(channels=2, dtype=np.uint16)
    (tmp_path / "a.png").write_bytes(png(values, 16, 4))
    picture = load(tmp_path / "a.png")
    gray, alpha = values[..., 0] / 65535, values[..., 1] / 65535
    np.testing.assert_allclose(alpha_of(picture), alpha, atol=1e-6)
    np.testing.assert_allclose(
        picture.pixels[..., 1], gray * alpha + 1 - alpha, atol=1e-6
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bit_transparent_colour(tmp_path, channels):
    values = noise(channels=channels, dtype=np.uint16)
    hidden = chunk(b"tRNS", values[3:4, 5].astype(">u2").tobytes())
    (tmp_path / "a.png").write_bytes(png(values, 16, {1: 0, 3: 2}[channels], hidden))
    picture = load(tmp_path / "a.png")
    assert alpha_of(picture)[3, 5] == 0
    assert alpha_of(picture).sum() == values.shape[0] * values.shape[1] - 1
    np.testing.assert_array_equal(picture.pixels[3, 5], 1)
    np.testing.assert_allclose(
        picture.pixels[7, 7], np.broadcast_to(values[7, 7] / 65535, 3), atol=1e-6
    )


def test_sixteen_bit_min_is_white(tmp_path):
    values = noise(channels=1, dtype=np.uint16)
    data = imagecodecs.tiff_encode(values, photometric="miniswhite")
    (tmp_path / "a.tif").write_bytes(data)
    pixels = load(tmp_path / "a.tif").pixels
    np.testing.assert_allclose(pixels[..., 0], 1 - values / 65535, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bit_tiff_is_turned_once(tmp_path, channels):
    values = noise(channels=channels, dtype=np.uint16)
    data = bytearray(imagecodecs.tiff_encode(values))
    # A new list of tags at the end of the file, with an orientation (274) in it.
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entries = [bytes(data[start + 2 + 12 * i :][:12]) for i in range(count)]
    entries.append(struct.pack("<HHII", 274, 3, 1, 6))
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry)[0])
    ifd = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    struct.pack_into("<I", data, 4, len(data))
    (tmp_path / "a.tif").write_bytes(bytes(data) + ifd)
    pixels = load(tmp_path / "a.tif").pixels
    assert pixels.shape == (40, 24, 3)
    expected = np.rot90(values / 65535, -1)
    expected = np.dstack([expected] * 3) if channels == 1 else expected
    np.testing.assert_allclose(pixels, expected, atol=1e-6)


def test_float_tiff(tmp_path):
    values = np.random.default_rng(0).random((20, 30), np.float32)
    picture = load(stored(tmp_path / "a.tif", Image.fromarray(values)))
    np.testing.assert_array_equal(picture.pixels, np.dstack([values] * 3))
    for bad in (np.nan, np.inf, 1.5, -0.1):
        values[3, 4] = bad
        path = stored(tmp_path / "a.tif", Image.fromarray(values))
        with pytest.raises(ValueError, match=r"a\.tif: float values must be"):
            load(path)


def test_wide_integers_are_refused(tmp_path):
    values = noise(channels=1, dtype=np.uint16).astype(np.int32) * 1000
    path = stored(tmp_path / "a.tif", Image.fromarray(values))
    with pytest.raises(ValueError, match=r"a\.tif: integers without a known range"):
        load(path)


# --- colour profiles --------------------------------------------------------------


def srgb_profile():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile():
    """The sRGB profile with the names of the red and the green primary exchanged."""
    data = srgb_profile()
    return (
        data.replace(b"rXYZ", b"tmp!")
        .replace(b"gXYZ", b"rXYZ")
        .replace(b"tmp!", b"gXYZ")
    )


def primaries_to_xyz(primaries):
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    return columns * np.linalg.solve(columns, white)


def test_srgb_profile_changes_nothing(tmp_path):
    levels = noise()
    image = Image.fromarray(levels)
    path = stored(tmp_path / "a.png", image, icc_profile=srgb_profile())
    picture = load(path)
    np.testing.assert_allclose(picture.pixels, levels / 255, atol=1e-6)
    assert picture.notes == ()


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_profile_with_swapped_primaries(tmp_path, name):
    levels = noise()
    options = {"lossless": True} if name == "a.webp" else {}
    image = Image.fromarray(levels)
    path = stored(tmp_path / name, image, icc_profile=swapped_profile(), **options)
    swapped = levels[..., [1, 0, 2]] / 255
    np.testing.assert_allclose(load(path).pixels, swapped, atol=0.5 / 255)


@pytest.mark.parametrize(("dtype", "bound"), [(np.uint8, 0.5 / 255), (np.uint16, 1e-3)])
def test_display_p3(tmp_path, dtype, bound):
    p3 = [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060)]
    profile = imagecodecs.cms_profile(
        "rgb",
        whitepoint=(0.3127, 0.3290, 1.0),
        primaries=[v for x, y in p3 for v in (x, y, 1.0)],
        gamma=2.2,
    )
    values = noise(dtype=dtype)
    compressed = b"p3\0\0" + zlib.compress(profile)
    depth = 8 * np.dtype(dtype).itemsize
    (tmp_path / "a.png").write_bytes(png(values, depth, 2, chunk(b"iCCP", compressed)))
    srgb = [(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)]
    matrix = np.linalg.solve(primaries_to_xyz(srgb), primaries_to_xyz(p3))
    light = np.clip((values / np.iinfo(dtype).max) ** 2.2 @ matrix.T, 0, 1)
    curve = np.where(
        light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055
    )
    np.testing.assert_allclose(load(tmp_path / "a.png").pixels, curve, atol=bound)


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_gray_profile(tmp_path, mode):
    profile = imagecodecs.cms_profile("gray", gamma=1.0)
    levels = noise(channels=1)
    image = Image.fromarray(levels).convert(mode)
    path = stored(tmp_path / "a.png", image, icc_profile=profile)
    light = levels / 255
    curve = np.where(
        light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055
    )
    picture = load(path)
    assert picture.notes == ()
    np.testing.assert_allclose(picture.pixels, np.dstack([curve] * 3), atol=1e-3)


def test_gray_picture_with_rgb_profile(tmp_path):
    levels = noise(channels=1)
    image = Image.fromarray(levels)
    picture = load(stored(tmp_path / "a.png", image, icc_profile=srgb_profile()))
    assert picture.notes == ()
    np.testing.assert_allclose(picture.pixels, np.dstack([levels / 255] * 3), atol=1e-6)


def cmyk_profile():
    """A CMYK profile whose table says: cyan is L* 50, everything else L* 0 or 100."""
    table = bytearray()
    for corner in range(16):  # c m y k, k fastest
        cyan, rest = corner >> 3, corner & 7
        lightness = 0 if rest else (128 if cyan else 255)
        table += bytes([lightness, 128, 128])
    identity = struct.pack(">9I", *(65536 * v for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    ramp = bytes(range(256))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4
    lut += bytes(table) + ramp * 3
    lut += bytes(-len(lut) % 4)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    offset = 128 + 4 + 2 * 12
    tags = struct.pack(">I", 2)
    tags += struct.pack(">4sII", b"A2B0", offset, len(lut))
    tags += struct.pack(">4sII", b"wtpt", offset + len(lut), len(white))
    size = offset + len(lut) + len(white)
    header = struct.pack(
        ">I4sI4s4s4s", size, bytes(4), 0x02400000, b"prtr", b"CMYK", b"Lab "
    )
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + tags + lut + white


def test_cmyk_profile(tmp_path):
    inks = np.zeros((20, 60, 4), np.uint8)
    inks[:, :20] = (255, 0, 0, 0)
    inks[:, 20:40] = (0, 0, 0, 255)
    image = Image.fromarray(inks, mode="CMYK")
    for name, options in (("a.jpg", {"quality": 100}), ("a.tif", {})):
        path = stored(tmp_path / name, image, icc_profile=cmyk_profile(), **options)
        picture = load(path)
        assert picture.notes == ()
        # L* 50 is 18.4 % of the light, 0.466 in sRGB.
        for x, gray in ((10, 0.466), (30, 0.0), (50, 1.0)):
            np.testing.assert_allclose(picture.pixels[10, x], gray, atol=0.02)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(
    "profile",
    [b"broken", srgb_profile()[:200], imagecodecs.cms_profile("gray", gamma=2.2)],
)
def test_unusable_profile_is_a_note(tmp_path, profile, depth):
    values = noise(dtype=np.uint8 if depth == 8 else np.uint16)
    data = chunk(b"iCCP", b"x\0\0" + zlib.compress(profile))
    (tmp_path / "a.png").write_bytes(png(values, depth, 2, data))
    picture = load(tmp_path / "a.png")
    expected = values / np.iinfo(values.dtype).max
    np.testing.assert_allclose(picture.pixels, expected, atol=1e-6)
    assert len(picture.notes) == 1
    assert "profile" in picture.notes[0]


# --- files that are refused -------------------------------------------------------


def refused(path, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1


def test_missing_folder_and_empty(tmp_path):
    refused(tmp_path / "nowhere.png", "no such file")
    refused(tmp_path / "no" / "folder.png", "no such file")
    refused(tmp_path, "a folder")
    (tmp_path / "empty.png").touch()
    refused(tmp_path / "empty.png", "empty")
    refused(str(tmp_path / "empty.png"), "empty")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_named_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", "not a regular file")


def test_no_permission(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(png(noise(), 8, 2))

    def denied(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Image, "open", denied)
    refused(tmp_path / "a.png", "no permission")


def test_not_a_picture(tmp_path):
    for name, data in (
        ("text.png", b"hello, world\n" * 50),
        ("random.jpg", bytes(noise(channels=1))),
        ("page.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n"),
    ):
        (tmp_path / name).write_bytes(data)
        refused(tmp_path / name, "not a picture")


@pytest.mark.parametrize(("height", "width"), [(60000, 60000), (2**14, 2**13 + 1)])
def test_bomb_is_refused_by_its_header(tmp_path, height, width):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    data += chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(data)
    before = Image.MAX_IMAGE_PIXELS
    refused(tmp_path / "bomb.png", "too large")
    assert before == Image.MAX_IMAGE_PIXELS


def test_own_lower_limit_of_pillow_holds(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(png(noise(40, 40), 8, 2))
    # Between the limit and twice the limit Pillow warns only.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert load(tmp_path / "a.png").notes == ()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    refused(tmp_path / "a.png", "too large")


@pytest.mark.parametrize(
    ("height", "width", "reason"),
    [(1, 1, "small"), (15, 40, "small"), (40, 15, "small"), (16, 321, "narrow")],
)
def test_shape_limits(tmp_path, height, width, reason):
    path = stored(tmp_path / "a.png", Image.fromarray(noise(height, width)))
    refused(path, f"{width} x {height} is too {reason}")


def test_shape_limits_are_inclusive(tmp_path):
    path = stored(tmp_path / "a.png", Image.fromarray(noise(320, 16)))
    assert load(path).pixels.shape == (320, 16, 3)


def encoded(kind):
    if kind == "PNG 16":
        return imagecodecs.png_encode(noise(dtype=np.uint16))
    if kind == "TIFF 16":
        return imagecodecs.tiff_encode(noise(dtype=np.uint16), compression="deflate")
    options: dict = {} if kind == "GIF" else {"icc_profile": srgb_profile()}
    if kind == "TIFF deflate":
        options["compression"] = "tiff_adobe_deflate"
    if kind in ("JPEG", "PNG", "WEBP"):
        options["exif"] = Image.Exif()
        options["exif"][274] = 3
    buffer = io.BytesIO()
    Image.fromarray(noise()).save(buffer, kind.split()[0], **options)
    return buffer.getvalue()


def load_or_none(path):
    """The picture, or None if it is refused; any other error fails the test."""
    try:
        return load(path)
    except ValueError as error:
        message = str(error)
    assert message.startswith(f"{path}: ")
    return None


@pytest.mark.parametrize(
    "kind",
    ["JPEG", "PNG", "TIFF", "TIFF deflate", "WEBP", "GIF", "BMP", "PNG 16", "TIFF 16"],
)
def test_truncated_at_any_length(tmp_path, kind):
    data = encoded(kind)
    path = tmp_path / "a"
    path.write_bytes(data)
    whole = load(path).pixels
    for length in [*range(1, len(data) - 20, 41), *range(len(data) - 20, len(data))]:
        path.write_bytes(data[:length])
        picture = load_or_none(path)
        # A file may lack its trailer or the metadata behind the pixels, no more.
        if picture is not None:
            np.testing.assert_allclose(
                np.sort(picture.pixels, None), np.sort(whole, None), atol=1e-6
            )
    path.write_bytes(data[: len(data) // 2])
    refused(path, "truncated or damaged|not a picture")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "PNG 16"])
def test_damaged_bytes_raise_only_value_errors(tmp_path, kind):
    data = encoded(kind)
    rng = np.random.default_rng(1)
    path = tmp_path / "a"
    outcomes = []
    for _ in range(60):
        damaged = bytearray(data)
        for place in rng.integers(0, min(len(data), 400), 3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        outcomes.append(load_or_none(path))
    assert None in outcomes


# --- arrays -----------------------------------------------------------------------


def test_from_array():
    rgba = noise(channels=4)
    unit = rgba / 255
    over_white = unit[..., :3] * unit[..., 3:] + 1 - unit[..., 3:]
    for array in (rgba, unit):
        picture = from_array(array)
        np.testing.assert_allclose(picture.pixels, over_white, atol=1e-6)
        np.testing.assert_allclose(alpha_of(picture), unit[..., 3], atol=1e-6)
    plain = from_array(rgba[..., :3])
    assert plain.alpha is None
    assert plain.pixels.dtype == np.float32
    np.testing.assert_allclose(plain.pixels, unit[..., :3], atol=1e-6)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((20, 20)), "not \\(20, 20\\)"),
        (np.full((20, 20, 3), 1.5), "must lie in"),
        (np.full((20, 20, 3), np.nan), "must lie in"),
        (np.zeros((3, 20, 3)), "too small"),
    ],
)
def test_from_array_refuses(array, reason):
    with pytest.raises(ValueError, match=reason):
        from_array(array)
    with pytest.raises(TypeError, match="int64"):
        from_array(np.zeros((20, 20, 3), np.int64))


# --- writing ----------------------------------------------------------------------


def test_writable_ending(tmp_path):
    formats = [writable_ending(f"a{ending}") for ending in ENDINGS]
    assert formats == ["PNG", "JPEG", "JPEG", "TIFF", "TIFF", "WEBP", "PNG"]
    for bad in ("a.gif", "a", "a.", "png", "a.png.txt"):
        with pytest.raises(ValueError, match=r"\.png, \.jpg, \.jpeg, .*\.webp"):
            writable_ending(bad)
        with pytest.raises(ValueError, match="unknown ending"):
            save(tmp_path / bad, smooth())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(20, 20), (20, 20, 4), (1, 20, 20, 3), (0, 20, 3)])
def test_save_checks_shapes(tmp_path, shape):
    with pytest.raises(ValueError, match=r"a\.png: expected shape \(h, w, 3\)"):
        save(tmp_path / "a.png", np.zeros(shape, np.float32))


def test_save_checks_values(tmp_path):
    pixels = smooth()
    with pytest.raises(ValueError, match=r"a\.png: alpha has shape"):
        save(tmp_path / "a.png", pixels, alpha=np.ones((3, 3), np.float32))
    pixels[3, 4, 1] = np.nan
    with pytest.raises(ValueError, match=r"a\.png: the picture holds NaN"):
        save(tmp_path / "a.png", pixels)
    with pytest.raises(TypeError, match="uint8"):
        save(tmp_path / "a.png", noise())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_failing_encoder_leaves_the_old_file(tmp_path, monkeypatch, ending):
    path = tmp_path / f"a{ending}"
    path.write_bytes(b"old")

    def fail(*args, **kwargs):
        args[1].write(b"half a picture")
        raise OSError("encoder error -2")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(ValueError, match=r"cannot be written as .*encoder error"):
        save(path, smooth())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()]
)
def test_failing_replacement_leaves_the_old_file(tmp_path, monkeypatch, error):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def fail(*args):
        raise error

    monkeypatch.setattr(picture_io.os, "replace", fail)
    expected = ValueError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        save(path, smooth())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    for place in ("missing/a.png", "file/a.png", "folder.png", "x" * 300 + ".png"):
        with pytest.raises(ValueError, match="cannot write: ") as caught:
            save(tmp_path / place, smooth())
        assert str(caught.value).startswith(str(tmp_path / place))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["file", "folder.png"]


def test_too_large_for_the_format(tmp_path):
    wide = np.zeros((1, 16384, 3), np.float32)
    with pytest.raises(ValueError, match=r"a\.webp: cannot be written as WEBP"):
        save(tmp_path / "a.webp", wide)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="file modes of POSIX")
def test_file_mode_follows_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        save(tmp_path / "a.png", smooth())
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o640


# --- settings ---------------------------------------------------------------------


@pytest.mark.parametrize("text", [SETTINGS, "", "x" * 60000])
@pytest.mark.parametrize("ending", ENDINGS)
def test_settings_round_trip(tmp_path, ending, text):
    path = tmp_path / f"a{ending}"
    save(path, smooth(), settings=text)
    assert read_settings(path) == text
    assert load(path).notes == ()
    np.testing.assert_allclose(load(path).pixels, smooth(), atol=0.04)


def test_settings_where_other_programs_look(tmp_path):
    save(tmp_path / "a.png", smooth(), settings=SETTINGS)
    with Image.open(tmp_path / "a.png") as image:
        assert image.info == {"nst-jax": SETTINGS}
    for name in ("a.jpg", "a.tif", "a.webp"):
        save(tmp_path / name, smooth(), settings=SETTINGS)
        assert f"nst-jax\n{SETTINGS}".encode() in (tmp_path / name).read_bytes()


@pytest.mark.parametrize("ending", ENDINGS)
def test_pictures_without_settings(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    save(path, smooth())
    assert read_settings(path) is None
    exif = Image.Exif()
    exif[270] = "OLYMPUS DIGITAL CAMERA"
    Image.fromarray(noise()).save(path, exif=exif)
    assert read_settings(path) is None


def test_settings_too_long_for_a_jpeg(tmp_path):
    with pytest.raises(ValueError, match=r"a\.jpg: .*too long"):
        save(tmp_path / "a.jpg", smooth(), settings="x" * 70000)
    save(tmp_path / "a.png", smooth(), settings="x" * 70000)
    assert read_settings(tmp_path / "a.png") == "x" * 70000


def test_read_settings_refuses(tmp_path):
    with pytest.raises(ValueError, match=r"b\.png: no such file"):
        read_settings(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(b"hello")
    with pytest.raises(ValueError, match=r"c\.png: not a picture"):
        read_settings(tmp_path / "c.png")
