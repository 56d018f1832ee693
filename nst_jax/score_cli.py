"""``nst-jax score``: how good results are, as a table."""

import argparse
import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ABOUT = "judge results: how much of the style, how much of the content, how much noise"
NOTES = """\
gram, wasserstein and cosine look through the judge, a network rescaled on the two
pictures: the first that is here of vgg19-caffe, vgg19-8bit and vgg19, else vgg19-tiny.
A run's own losses flatter it, so the layers that any of the results' runs optimised are
left out: a result in its run folder has its config read, a picture by itself counts as
made with the default layers. random_filters looks through filters that no run has seen.
Means over layers stand first. The style picture is resized to the result's area, as in
a run. Compare results of the same size and of the same pictures, by the same judge.

example:
  nst-jax score town.jpg night.jpg runs/0001/result.png runs/0002/result.png
"""
LEAST = 0.02  # by how much the sides' ratios of content and result may differ


class Scored(NamedTuple):
    """A result: its file, width and height, judge, and scores by name."""

    file: str
    size: tuple[int, int]
    judge: str
    scores: dict[str, float]


def add_options(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("content", metavar="CONTENT", help="content picture")
    parser.add_argument("style", metavar="STYLE", help="style picture")
    parser.add_argument("results", metavar="RESULT", nargs="+", help="to be judged")
    parser.add_argument(
        "--weights",
        metavar="WEIGHTS",
        default="auto",
        help="the judge: auto (see below), a name, a file, or random",
    )
    parser.add_argument("--csv", metavar="FILE", help="write the numbers to it, too")
    parser.add_argument("--overwrite", action="store_true", help="replace --csv FILE")


def run(options) -> None:
    """Score, print, write.

    Raises:
        ValueError: for whatever in pictures or weights does not fit.
        ConnectionError: if weights must be downloaded and cannot be.
    """
    target = Path(options.csv).expanduser() if options.csv else None
    if target and target.exists() and not options.overwrite:
        raise ValueError(f"{target}: exists already; --overwrite replaces it")
    from nst_jax.outputs.files import write_text

    scored = _score(options.content, options.style, options.results, options.weights)
    _print_table(scored)
    if target:
        write_text(target, to_csv(scored))


def to_csv(scored: Sequence[Scored]) -> str:
    """A row per result: file, width, height, judge, scores."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["result", "width", "height", "judge", *scored[0].scores])
    for one in scored:
        writer.writerow([one.file, *one.size, one.judge, *one.scores.values()])
    return text.getvalue()


# --- the scores --------------------------------------------------------------------


def _score(content, style, results: Sequence[str], weights: str) -> list[Scored]:
    """The scores of each result."""
    from nst_jax.host import use_compile_cache
    from nst_jax.images.io import load
    from nst_jax.judge import configs_of, judge_text, open_judge, optimised_by

    photo, painting = load(content).pixels, load(style).pixels
    pictures = {file: load(file).pixels for file in results}
    for file, picture in pictures.items():
        _check_shape(file, picture, photo)
    runs = configs_of(pictures)
    if alone := [file for file, config in runs.items() if config is None]:
        print(f"{_some(alone)}: no run folder; taken as made with the default layers")
    with use_compile_cache(True):
        judge = open_judge(weights, optimised_by(runs))
        print(*judge_text(judge), sep="\n")
        sizes = dict.fromkeys(map(_size, pictures.values()))
        pairs = {size: _resized(photo, painting, size) for size in sizes}
        seen = {size: judge.seen_by(pair) for size, pair in pairs.items()}
        return [
            Scored(
                file, size, judge.name, _card(judge, seen[size], *pairs[size], picture)
            )
            for file, picture in pictures.items()
            for size in (_size(picture),)
        ]


def _some(files: Sequence[str]) -> str:
    return ", ".join(files) if len(files) <= 3 else f"{len(files)} results"


def _check_shape(file: str, picture, content) -> None:
    ratios = [x.shape[1] / x.shape[0] for x in (picture, content)]
    if abs(ratios[0] / ratios[1] - 1) > LEAST + 1 / min(picture.shape[:2]):
        sizes = ["{} x {}".format(*_size(x)) for x in (picture, content)]
        raise ValueError(
            f"{file} is {sizes[0]} and the content picture {sizes[1]}: not of the same "
            "shape; give the content picture that the result was made from"
        )


def _card(judge, params, content, style, picture) -> dict[str, float]:
    """All scores against the two pictures at the size of the result."""
    from nst_jax.scores.card import score_card

    return score_card(
        judge.extract,
        params,
        result=picture,
        content=content,
        style=style,
        style_layers=judge.layers,
        content_layers=judge.content_layers,
    )


def _resized(content, style, size: tuple[int, int]):
    """Content and style as in a run of that width and height, which is said."""
    from nst_jax.images.resize import fit_area, resize

    width, height = size
    resized = resize(content, height, width), fit_area(style, height * width)
    for name, before, after in zip(
        ("content", "style"), (content, style), resized, strict=True
    ):
        if before.shape != after.shape:
            sizes = ["{} x {}".format(*_size(x)) for x in (before, after)]
            print(
                f"for results of {width} x {height}: {name} resized from {sizes[0]} to "
                f"{sizes[1]}"
            )
    return resized


def _size(picture) -> tuple[int, int]:
    """Width and height."""
    return picture.shape[1], picture.shape[0]


# --- the table ---------------------------------------------------------------------


def _print_table(scored: Sequence[Scored]) -> None:
    from rich.console import Console
    from rich.table import Table

    from nst_jax.scores.card import MEANING

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("score", no_wrap=True)
    table.add_column("best", justify="right")
    for one in scored:
        table.add_column(one.file, justify="right", overflow="fold")
    for name in scored[0].scores:
        best = MEANING[name.partition("/")[0]][1]
        values = [f"{one.scores[name]:.4g}" for one in scored]
        label = name if "/" not in name else f"  {name}"
        table.add_row(label, best, *values, style="dim" if "/" in name else None)
    console = Console()
    console.print(table, highlight=False)
    console.print(_legend(MEANING), highlight=False, style="dim")


def _legend(meaning: Mapping[str, tuple[str, str]]) -> str:
    return "\n".join(f"{name}: {about}" for name, (about, _) in meaning.items())
