"""Reproduce the figures and experiments of the literature, and test their claims.

Command: python scripts/reproduce.py all [--quick]
         python scripts/reproduce.py starts ratios --content FILE --style FILE
Time:    all at 256 pixels with the network that comes along: about half an hour on two
         CPU cores; --quick (96 pixels, a fifth of the iterations): a few minutes
Result:  under --out a JSON record and the figures of each experiment; beside it, with
         .md to its name, the page. Exit code 1 if a law did not hold.

WHAT is all, or names of experiments (--list shows them); page writes the page again
from the records, and gallery makes the gallery beside it (GALLERY.md). Experiments that
need weights which are not here are not run, and the page says so: nothing is fetched.

--broken VARIANT breaks the method on purpose ("random network", "content and style
swapped", "wrong order", "seed ignored", "stopped early"): the laws must fail then.
--jitter SEED moves the start of every run by a millionth (scripts/jitter.py): what
holds for many seeds holds on other machines.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nst_jax.features.pretrained import choose
from nst_jax.host import use_compile_cache
from nst_jax.outputs.files import write_text
from scripts.jitter import jittered
from scripts.papers import gallery
from scripts.papers.catalogue import EXPERIMENTS
from scripts.papers.lab import Lab
from scripts.papers.page import as_markdown
from scripts.papers.record import Record, earlier, perform, read_judged
from scripts.papers.settings import QUICK_SIZE, VARIANTS, Settings

PICTURES = ROOT / "configs" / "pictures"
WHAT = ("all", "page", "gallery", *EXPERIMENTS)
LAW_FAILED = 1


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; returns the exit code."""
    options = parse(arguments)
    if options.list:
        for one in EXPERIMENTS.values():
            print(f"{one.name:24} {one.title}")
        return 0
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    names = [n for n in EXPERIMENTS if n in options.what or "all" in options.what]
    with jittered(options.jitter):
        records = _run(names, _settings(options), out, resume=options.resume)
    if names or "page" in options.what:
        _write_page(out, options.also)
    if "gallery" in options.what:
        gallery.make(PICTURES, out.parent / "gallery.md")
    failed = [
        r["name"] for r in records if not all(x["held"] for x in r.get("laws", ()))
    ]
    if failed:
        print(f"laws did not hold in: {', '.join(failed)}")
    return LAW_FAILED if failed else 0


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    about, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=about,
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="*", metavar="WHAT", help="all, or names")
    parser.add_argument("--list", action="store_true", help="list the experiments")
    parser.add_argument("--quick", action="store_true", help="small and short")
    parser.add_argument("--size", type=int, help="longer side in pixels (256)")
    parser.add_argument(
        "--weights", default="vgg19-tiny", help="a name or a file (vgg19-tiny)"
    )
    parser.add_argument("--content", type=Path, help="content picture")
    parser.add_argument("--style", type=Path, help="style picture")
    parser.add_argument(
        "--photograph", type=Path, help="photograph to be used as style"
    )
    parser.add_argument("--out", help="folder of the results (runs/reproduction)")
    parser.add_argument(
        "--resume", action="store_true", help="keep what is there of the same settings"
    )
    parser.add_argument("--broken", choices=VARIANTS, help="break it on purpose")
    parser.add_argument(
        "--jitter", type=int, metavar="SEED", help="move each run's start a little"
    )
    parser.add_argument(
        "--also",
        nargs=2,
        action="append",
        default=[],
        metavar=("TITLE", "FOLDER"),
        help="records of other runs, whose tables the page shows at its end",
    )
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.what if name not in WHAT]:
        parser.error(f"unknown: {', '.join(unknown)}; known are {', '.join(WHAT)}")
    if not options.what and not options.list:
        parser.error(f"say what: {', '.join(WHAT)}")
    if options.jitter is not None and options.resume:
        parser.error("--resume keeps what was made with any jitter: leave one out")
    default = "reproduction-broken" if options.broken else "reproduction"
    options.out = options.out or os.path.join("runs", default)
    return options


def _settings(options) -> Settings:
    return Settings(
        options.content or PICTURES / "town.jpg",
        options.style or PICTURES / "night_sky.jpg",
        options.photograph or PICTURES / "still_life.jpg",
        options.size or (QUICK_SIZE if options.quick else 256),
        choose(options.weights),
        options.quick,
        options.broken,
        bool(options.content and options.style),
    )


def _run(
    names: list[str], settings: Settings, out: Path, *, resume: bool
) -> list[Record]:
    """Records of the experiments, made or found; says each verdict as it comes."""
    records = []
    with tempfile.TemporaryDirectory() as folder, use_compile_cache(True):
        lab = Lab(settings, Path(folder))
        for name in names:
            experiment = EXPERIMENTS[name]
            record = earlier(experiment, settings, out) if resume else None
            records.append(record or perform(experiment, lab, out))
            _say(records[-1])
    return records


def _say(record: Record) -> None:
    if "rows" not in record:
        print(f"{record['name']}: not run: {record['not_run']}", flush=True)
        return
    print(f"{record['name']}: {record['seconds']:.0f} s")
    for law in record["laws"]:
        print(f"  {'held' if law['held'] else 'NOT HELD'}: {law['text']}", flush=True)
    for text in record.get("not_asked", ()):
        print(f"  not asked at this size: {text}", flush=True)


def _write_page(out: Path, also: list[list[str]]) -> None:
    others = {title: read_judged(Path(folder), EXPERIMENTS) for title, folder in also}
    page = as_markdown(
        read_judged(out, EXPERIMENTS),
        EXPERIMENTS.values(),
        folder=out.name,
        command="python scripts/reproduce.py all",
        also=others,
    )
    write_text(out.with_name(f"{out.name}.md"), page)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped: --resume keeps the experiments that are done")
