"""Judge the embedded network by what it is for: the pictures that it makes.

Command: python scripts/judge_tiny.py --teacher WEIGHTS --pictures FOLDER \
             --out docs/vgg19-tiny
Time: about 15 minutes on two CPU cores for three pictures
Result: scores.json and scores.md under --out; with --sheet FILE all results side by
side

Each ordered pair of the pictures in the folder, which the network must not have been
trained on, is a content and a style. Each pair is optimised from noise with the
teacher, with the tiny network and with a random network of the tiny one's shape, at
several alphas. Each result is scored

* by the teacher, rescaled on the pair: relative Gram error at layers that no run
  optimised (geometric mean over layers), and relative response error at conv4_2;
* by random filters that belong to neither (``nst_jax.scores``).

Scores are geometric means over pairs. For each network that alpha is chosen at which
the worse of its two ratios to the teacher, at the teacher's own alpha, is least.
"""

import argparse
import itertools
import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw

import nst_jax
from nst_jax.features.layout import up_to_deepest
from nst_jax.features.pretrained import resolve
from nst_jax.features.rescale import floored, mean_activations, rescale
from nst_jax.features.vgg import device_params, network_of
from nst_jax.features.weights import Weights, read, write
from nst_jax.images.encode import to_uint8
from nst_jax.images.io import load
from nst_jax.images.resize import fit_area, fit_longer_side
from nst_jax.scores.features import gram_errors, mean_score, response_errors
from nst_jax.scores.filters import random_filter_distance

TEACHER_ALPHA = 1e-2
NETWORKS = ("teacher", "tiny", "random")
SCORES = ("style", "content", "random filters")
# No run here optimised them but conv5_1, where the teacher of quarter width ends.
HELD_OUT = ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_1")


class Pair(NamedTuple):
    """A content and a style picture at the size of the runs."""

    name: str
    content: np.ndarray
    style: np.ndarray


def find_pairs(folder: Path, size: int) -> list[Pair]:
    """Ordered pairs of all pictures in a folder."""
    endings = (".jpg", ".jpeg", ".png")
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in endings)
    if len(files) < 3:
        raise ValueError(f"{folder}: needs at least three pictures")
    pairs = []
    for a, b in itertools.permutations(files, 2):
        content = fit_longer_side(load(a).pixels, size)
        style = fit_area(load(b).pixels, content.shape[0] * content.shape[1])
        pairs.append(Pair(f"{a.stem} in the style of {b.stem}", content, style))
    return pairs


def random_twin(weights: Weights) -> Weights:
    """A random (He) network of the same shape."""
    rng = np.random.default_rng(0)
    params = {}
    for layer, arrays in weights.params.items():
        shape = arrays["kernel"].shape
        kernel = rng.standard_normal(shape) * np.sqrt(2 / (9 * shape[2]))
        params[layer] = {
            "kernel": kernel.astype(np.float32),
            "bias": np.zeros_like(arrays["bias"], np.float32),
        }
    return weights._replace(params=params, mu={}, name="random", sha256="")


def judge(teacher: Weights, pair: Pair, result: np.ndarray) -> dict[str, float]:
    """The three scores of a result; 0 is perfect."""
    network, params = network_of(teacher), device_params(teacher)
    content, style, picture = (
        jnp.asarray(x) for x in (pair.content, pair.style, result)
    )
    mu = floored(mean_activations(network, params, (content, style)))
    scaled = rescale(params, mu)
    style_errors = gram_errors(
        network, scaled, result=picture, style=style, layers=HELD_OUT
    )
    content_errors = response_errors(
        network, scaled, result=picture, content=content, layers=("conv4_2",)
    )
    distance = random_filter_distance(picture, style)
    scores = (mean_score(style_errors), content_errors["conv4_2"], distance)
    return dict(zip(SCORES, scores, strict=True))


def optimise(pair: Pair, weights: Path, alpha: float, iterations: int) -> np.ndarray:
    """The result of one run from noise."""
    return nst_jax.stylize(
        pair.content,
        pair.style,
        size=max(pair.content.shape[:2]),
        scales=[max(pair.content.shape[:2])],  # one: what a network does, undisturbed
        start="noise",
        network={"weights": str(weights)},
        objective={"alpha": alpha},
        solver={"iterations": iterations},
    ).picture


def measure(options) -> tuple[list[dict], dict[tuple[str, str, float], np.ndarray]]:
    """All runs and their scores."""
    teacher_file = resolve(options.teacher)
    teacher = read(teacher_file, up_to_deepest("vgg19", frozenset(HELD_OUT)))
    random_file = options.scratch / "random.h5"
    write(random_file, random_twin(read(options.tiny)))
    files = {"teacher": teacher_file, "tiny": options.tiny, "random": random_file}
    files = {name: file for name, file in files.items() if name in options.networks}
    rows, pictures = [], {}
    for pair in find_pairs(options.pictures, options.size):
        for name, file in files.items():
            for alpha in options.alphas:
                began = time.perf_counter()
                result = optimise(pair, file, alpha, options.iterations)
                scores = judge(teacher, pair, result)
                row = {"pair": pair.name, "network": name, "alpha": alpha, **scores}
                rows.append(row | {"seconds": round(time.perf_counter() - began, 1)})
                pictures[pair.name, name, alpha] = result
                print(json.dumps(rows[-1]), flush=True)
    return rows, pictures


def kept_rows(record: Path, rows: list[dict]) -> list[dict]:
    """Runs of networks in an earlier record that were not run again."""
    if not record.exists():
        return []
    again = {row["network"] for row in rows}
    earlier = json.loads(record.read_text())["runs"]
    return [row for row in earlier if row["network"] not in again]


def summarise(rows: list[dict]) -> list[dict]:
    """Geometric means over pairs, and ratios to the teacher at its own alpha."""
    means = {}
    for row in rows:
        means.setdefault((row["network"], row["alpha"]), []).append(row)
    table = []
    for (network, alpha), group in means.items():
        scores = {
            s: float(np.exp(np.mean([np.log(r[s]) for r in group]))) for s in SCORES
        }
        table.append({"network": network, "alpha": alpha, **scores})
    own = next(
        t for t in table if (t["network"], t["alpha"]) == ("teacher", TEACHER_ALPHA)
    )
    for entry in table:
        entry["ratios"] = {s: entry[s] / own[s] for s in SCORES}
    return table


def chosen_alpha(table: list[dict], network: str) -> float:
    """The alpha at which the worse of style and content is nearest the teacher's."""
    if network == "teacher":
        return TEACHER_ALPHA
    entries = [entry for entry in table if entry["network"] == network]
    best = min(entries, key=lambda e: max(e["ratios"]["style"], e["ratios"]["content"]))
    return best["alpha"]


def as_markdown(table: list[dict], options) -> str:
    """The table as a page."""
    lines = [
        "| network | alpha | style | content | random filters | chosen |",
        "|---|---|---|---|---|---|",
    ]
    for entry in table:
        cells = [
            f"{entry[s]:.3g} ({entry['ratios'][s]:.2f} x)" for s in SCORES
        ]  # fmt: skip
        mark = entry["alpha"] == chosen_alpha(table, entry["network"])
        lines.append(
            f"| {entry['network']} | {entry['alpha']:g} | {' | '.join(cells)} "
            f"| {'yes' if mark else ''} |"
        )
    note = (
        f"\n{options.iterations} iterations from noise, longer side {options.size}; "
        "geometric means over all pairs; in brackets the ratio to the teacher at alpha "
        f"{TEACHER_ALPHA:g}.\n"
    )
    return "\n".join(lines) + "\n" + note


def sheet(pairs: list[Pair], table, pictures) -> PillowImage.Image:
    """Pairs as rows; content, style, and each network's result as columns."""
    columns = ("content", "style", "teacher", "tiny", "random")
    cell, head = 256, 20
    page = PillowImage.new(
        "RGB", (cell * len(columns), head + (cell + head) * len(pairs)), "white"
    )
    draw = ImageDraw.Draw(page)
    for column, name in enumerate(columns):
        note = "" if column < 2 else f" (alpha {chosen_alpha(table, name):g})"
        draw.text((column * cell + 6, 4), name + note, fill="black")
    for row, pair in enumerate(pairs):
        results = [
            pictures[pair.name, name, chosen_alpha(table, name)] for name in columns[2:]
        ]
        for column, picture in enumerate([pair.content, pair.style, *results]):
            tile = PillowImage.fromarray(to_uint8(picture))
            tile.thumbnail((cell - 4, cell - 4))
            page.paste(tile, (column * cell, head + row * (cell + head)))
    return page


def main() -> None:
    """Run, score, write."""
    parser = argparse.ArgumentParser(description="Judge the embedded network.")
    parser.add_argument("--teacher", required=True, help="weights of the teacher")
    parser.add_argument("--pictures", type=Path, required=True, help="held-out ones")
    parser.add_argument(
        "--tiny", type=Path, default=ROOT / "nst_jax" / "features" / "vgg19_tiny.h5"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--sheet", type=Path, help="picture of all results; none if absent"
    )
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=NETWORKS,
        default=NETWORKS,
        help="to run; the earlier runs of others, under --out, stay",
    )
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument(
        "--alphas", type=float, nargs="+", default=[3e-3, TEACHER_ALPHA, 3e-2]
    )
    options = parser.parse_args()
    options.alphas = sorted({*options.alphas, TEACHER_ALPHA})
    options.out.mkdir(parents=True, exist_ok=True)
    options.scratch = options.out
    rows, pictures = measure(options)
    (options.out / "random.h5").unlink()
    rows = kept_rows(options.out / "scores.json", rows) + rows
    table = summarise(rows)
    page = as_markdown(table, options)
    print(page)
    (options.out / "scores.md").write_text(page)
    record = {"device": str(jax.devices()[0]), "table": table, "runs": rows}
    (options.out / "scores.json").write_text(json.dumps(record, indent=1) + "\n")
    if options.sheet and set(options.networks) == set(NETWORKS):
        pairs = find_pairs(options.pictures, options.size)
        sheet(pairs, table, pictures).save(options.sheet)


if __name__ == "__main__":
    main()
