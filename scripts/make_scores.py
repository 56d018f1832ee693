"""Make the strip and the table of docs/scores.md: results from good to bad, scored.

Command:  python scripts/make_scores.py [--weights WEIGHTS] [--out DIR] [--size N]
Time:     a few minutes on two CPU cores.
Result:   examples.jpg, the pictures with their captions, and examples.md, their scores;
          both in docs/scores. --weights is the real VGG-19, for the good runs and as
          the judge; by default the first that is here.
"""

import argparse
import contextlib
import csv
import io
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nst_jax.cli import main as nst_jax
from nst_jax.config import Config, changed
from nst_jax.images.encode import to_uint8
from nst_jax.images.io import load
from nst_jax.judge import choose
from nst_jax.run import run
from scripts.make_controls import encode, strip

PICTURES = ROOT / "configs" / "pictures"
CONTENT, STYLE = PICTURES / "town.jpg", PICTURES / "night_sky.jpg"
SIZE, ITERATIONS, COLUMNS, GAP = 256, 150, 3, 6
SHOWN = ("gram", "wasserstein", "random_filters", "colours", "ssim", "edges", "cosine",
         "noise")  # fmt: skip


def plain(size: int) -> dict[str, np.ndarray]:
    """Pictures that no run made, all of the content's shape."""
    content = Image.open(CONTENT).convert("RGB")
    sides = size, round(size * content.height / content.width)
    shapes = {"the photograph": CONTENT, "the painting": STYLE}
    found = {
        name: np.asarray(Image.open(file).convert("RGB").resize(sides))
        for name, file in shapes.items()
    }
    noise = np.random.default_rng(0).integers(0, 256, (sides[1], sides[0], 3))
    return {**found, "white noise": noise.astype(np.uint8)}


def runs(weights: str) -> dict[str, dict]:
    """What the runs differ in."""
    real = {"network": {"weights": weights}}
    return {
        "real VGG-19": real,
        "vgg19-tiny": {"network": {"weights": "vgg19-tiny"}},
        "alpha 1000": {**real, "objective": {"alpha": 1000.0}},
    }


def made(folder: Path, weights: str, size: int) -> dict[str, Path]:
    """All pictures as files, by caption; those of runs in their run folders."""
    files = {}
    for caption, picture in plain(size).items():
        files[caption] = folder / f"{caption}.png"
        Image.fromarray(picture).save(files[caption])
    base = changed(
        Config(),
        content=str(CONTENT),
        style=str(STYLE),
        size=size,
        start="content",
        solver={"iterations": ITERATIONS},
    )
    for caption, settings in runs(weights).items():
        place = folder / caption
        run(changed(base, **settings, output={"dir": str(place)}))
        files[caption] = place / "result.png"
    return files


def sheet(files: dict[str, Path]) -> Image.Image:
    """The pictures with their captions, in rows."""
    pictures = {name: to_uint8(load(path).pixels) for name, path in files.items()}
    names = list(pictures)
    rows = [
        strip([pictures[name] for name in names[at : at + COLUMNS]],
              names[at : at + COLUMNS])
        for at in range(0, len(names), COLUMNS)
    ]  # fmt: skip
    step = rows[0].height + GAP
    image = Image.new("RGB", (rows[0].width, step * len(rows) - GAP), "white")
    for number, row in enumerate(rows):
        image.paste(row, (0, number * step))
    return image


def scored(files: dict[str, Path], weights: str, target: Path) -> tuple[str, list]:
    """What ``nst-jax score`` says first, and a row of numbers for each picture."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = nst_jax(
            ["score", str(CONTENT), str(STYLE), *map(str, files.values()),
             "--weights", weights, "--csv", str(target)]
        )  # fmt: skip
    if code:
        raise SystemExit(code)
    lines = [x for x in said.getvalue().splitlines() if x.startswith(("judge", "left"))]
    return ". ".join(lines), list(csv.DictReader(target.read_text().splitlines()))


def table(captions, rows) -> str:
    """Markdown; the cosine is that of the deepest layer."""
    deepest = [name for name in rows[0] if name.startswith("cosine/")][-1]
    lines = [f"| result | {' | '.join(SHOWN)} |", "|---|" + "---|" * len(SHOWN)]
    for caption, row in zip(captions, rows, strict=True):
        values = [float(row[deepest if name == "cosine" else name]) for name in SHOWN]
        lines.append(f"| {caption} | {' | '.join(f'{x:.3g}' for x in values)} |")
    return "\n".join(lines)


def main() -> None:
    """Parse the command line and write the two files."""
    parser = argparse.ArgumentParser(description="Make the examples of docs/scores.md.")
    parser.add_argument("--weights", default="auto", help="the real VGG-19")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "scores")
    parser.add_argument("--size", type=int, default=SIZE, help="of each picture")
    options = parser.parse_args()
    weights = choose() if options.weights == "auto" else options.weights
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        files = made(Path(folder), weights, options.size)
        (options.out / "examples.jpg").write_bytes(encode(sheet(files)))
        said, rows = scored(files, weights, Path(folder) / "scores.csv")
    text = f"{said}.\n\n{table(files, rows)}\n"
    (options.out / "examples.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
