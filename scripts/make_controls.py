"""Make the pictures of docs/controls.md from the example pictures.

Command:  python scripts/make_controls.py [--only NAME] [--out DIR] [--size N]
Time:     about five minutes on two CPU cores.
Result:   a strip of pictures for each control, and the sheet of configs/controls.yaml,
          as JPEG in docs/controls, each at most 100 kB.
"""

import argparse
import io
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nst_jax.cli import main as nst_jax
from nst_jax.config import load
from nst_jax.images.encode import to_uint8
from nst_jax.run import run

FOLDER = ROOT / "docs" / "controls"
CONFIGS = ROOT / "configs"
SIZE, ITERATIONS = 192, 100
LARGEST_FILE = 100_000
GAP, LINE, LETTERS = 6, 20, 13  # pixels


class Shot(NamedTuple):
    """A picture of a strip.

    Attributes:
        caption: below it.
        config: name of the config that it is made with.
        changes: KEY=VALUE; "@name" is an example picture.
        then: what is done to it in the end.
    """

    caption: str
    config: str
    changes: tuple[str, ...] = ()
    then: Callable[[np.ndarray], np.ndarray] = lambda picture: picture


def twice(tile: np.ndarray) -> np.ndarray:
    """The tile beside and below itself, at half its size."""
    image = Image.fromarray(np.tile(tile, (2, 2, 1)))
    return np.asarray(
        image.resize((tile.shape[1], tile.shape[0]), Image.Resampling.BOX)
    )


STRIPS: dict[str, tuple[Shot, ...]] = {
    "two_styles": (
        Shot("night sky", "two_styles", ("style=@night_sky.jpg",)),
        Shot("2 : 1", "two_styles"),
        Shot("waves", "two_styles", ("style=@woodcut_waves.jpg",)),
    ),
    "style_scale": tuple(
        Shot(f"style_scale {scale}", "style_scale", (f"style_scale={scale}",))
        for scale in ("0.5", "1", "2")
    ),
    "scale_mixing": (
        Shot("mosaic", "scale_mixing", ("style=@mosaic.jpg",)),
        Shot("fine of it, coarse of the other", "scale_mixing"),
        Shot("night sky", "scale_mixing", ("style=@night_sky.jpg",)),
    ),
    "regions": (
        Shot("sky and town, river kept", "regions"),
        Shot("mode: inside", "regions", ("regions.mode=inside",)),
        Shot("less style on the town", "regions", ("regions.weights={red: 0.05}",)),
    ),
    "colours": (
        Shot("as the style", "colours", ("colours.preserve=none",)),
        Shot("match: pca", "colours", ("colours={preserve: none, match: pca}",)),
        Shot(
            "match: ot, strength: 0.5",
            "colours",
            ("colours={preserve: none, match: ot, strength: 0.5}",),
        ),
        Shot("preserve: luminance", "colours"),
    ),
    "layer_weights": tuple(
        Shot(name, "layer_weights", (f"objective.layer_weights={name}",))
        for name in ("equal", "geometric", "crowson")
    ),
    "recipes": tuple(
        Shot(name, "recipes", (f"objective.preset={name}",))
        for name in ("gatys2016", "crowson", "spst", "novak")
    ),
    "photorealism": (
        Shot("weight: 0", "photorealism", ("photorealism.weight=0",)),
        Shot(
            "weight: 1000, not smoothed",
            "photorealism",
            ("photorealism.smooth_radius=0",),
        ),
        Shot("weight: 1000", "photorealism"),
    ),
    "texture": (
        Shot("the tile", "texture"),
        Shot("2 x 2 of it", "texture", (), twice),
        Shot("2 x 2, tileable: false", "texture", ("tileable=false",), twice),
    ),
    "print": (
        Shot("L-BFGS", "print", ("solver={name: lbfgs, average: null}",)),
        Shot("Adam", "print", ("solver.average=null",)),
        Shot("Adam, average: 0.99", "print"),
    ),
}


def made(shot: Shot, size: int, iterations: int) -> np.ndarray:
    """The picture, uint8."""
    pictures = f"{CONFIGS / 'pictures'}/"
    changes = [change.replace("@", pictures) for change in shot.changes]
    texture = shot.config == "texture"
    sides = f"texture=[{size}, {size * 3 // 4}]" if texture else f"size={size}"
    with tempfile.TemporaryDirectory() as folder:
        more = (sides, f"solver.iterations={iterations}", f"output.dir={folder}/run")
        path = CONFIGS / f"{shot.config}.yaml"
        config = load(path, [*more, "network.weights=vgg19-tiny", *changes])
        return shot.then(to_uint8(run(config).picture))


def strip(pictures: Sequence[np.ndarray], captions: Sequence[str]) -> Image.Image:
    """Pictures of one size beside each other, each with its caption."""
    height, width = pictures[0].shape[:2]
    step = width + GAP
    sheet = Image.new("RGB", (step * len(pictures) - GAP, height + LINE), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(LETTERS)
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        sheet.paste(Image.fromarray(picture), (number * step, 0))
        place = number * step + width / 2, height + LINE / 2
        draw.text(place, caption, fill="black", font=font, anchor="mm")
    return sheet


def sweep_sheet(size: int, iterations: int) -> Image.Image:
    """The sheet of configs/controls.yaml."""
    with tempfile.TemporaryDirectory() as folder:
        code = nst_jax(
            ["sweep", "--quiet", "--config", str(CONFIGS / "controls.yaml"),
             "--out", f"{folder}/sweep", "--weights", "vgg19-tiny",
             f"size={size}", f"solver.iterations={iterations}"]
        )  # fmt: skip
        if code:
            raise SystemExit(code)
        with Image.open(f"{folder}/sweep/sheet.png") as sheet:
            return sheet.convert("RGB")


def encode(image: Image.Image) -> bytes:
    """JPEG at the best quality, and then the largest size, that fits."""
    while True:
        for quality in range(88, 60, -4):
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=quality, optimize=True)
            if buffer.tell() <= LARGEST_FILE:
                return buffer.getvalue()
        smaller = int(image.width * 0.9), int(image.height * 0.9)
        image = image.resize(smaller, Image.Resampling.LANCZOS)


def main() -> None:
    """Parse the command line and write the pictures."""
    parser = argparse.ArgumentParser(description="Make the pictures of controls.md.")
    names = [*STRIPS, "controls"]
    parser.add_argument("--only", choices=names, nargs="+", help="make just these")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to")
    parser.add_argument("--size", type=int, default=SIZE, help="of each picture")
    parser.add_argument("--iterations", type=int, default=ITERATIONS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    sides = options.size, options.iterations
    for name in options.only or names:
        if name == "controls":
            image = sweep_sheet(*sides)
        else:
            pictures = [made(shot, *sides) for shot in STRIPS[name]]
            image = strip(pictures, [shot.caption for shot in STRIPS[name]])
        path = options.out / f"{name}.jpg"
        path.write_bytes(encode(image))
        print(f"{path}  {path.stat().st_size // 1000} kB", flush=True)


if __name__ == "__main__":
    main()
