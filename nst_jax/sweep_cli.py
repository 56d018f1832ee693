"""``nst-jax sweep``: its options, and what it does with them."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from nst_jax.config import Config
from nst_jax.signals import stoppable
from nst_jax.sweep_spec import command_line
from nst_jax.sweep_spec.combine import TooManyLanes

ABOUT = "make many pictures at once: a grid of settings, side by side"
KEYS = """\
axes: several values of a key, each with each; those given here replace all of the
file's. What is not an axis is a key as below.
  alpha=1e-4,1e-3,1e-2           alpha is objective.alpha, and so for all keys
  alpha={log: [1e-5, 1e-1, 9]}   nine values from one to the other; or linear
  style=night.jpg,mosaic.jpg     pictures, starts, presets, ...
  style_layers='{A: [conv1_1], B: [conv1_1, conv2_1]}'   sets of layers by name
  style_layers.conv1_1=0,1       weight of one layer, of those that are given
options:
  combine=grid      zip: the first values together, then the second, ...; random: as
                    many samples as asked for; list (in a file): lanes one by one
  samples=24        of a random sweep; its axes may be {uniform: [from, to]} or
                    {log_uniform: [from, to]}, too
  sample_seed=0     of a random sweep
  lanes=8           how many run side by side; else as many as fit
In a file they stand under `sweep:`, as alpha: [1e-4, 1e-3].

"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that only this command has."""
    parser.add_argument(
        "--yes", action="store_true", help="go ahead with a sweep that takes very long"
    )
    group = parser.add_argument_group("several processes, which share --out")
    group.add_argument(
        "--distributed",
        action="store_true",
        help="this is one of them, as Slurm, Open MPI or a Cloud TPU say",
    )
    for flag, metavar, about in (
        ("coordinator", "HOST:PORT", "where the first of them listens"),
        ("processes", "N", "how many there are"),
        ("process", "I", "number of this one, from 0"),
    ):
        kind = str if flag == "coordinator" else int
        group.add_argument(f"--{flag}", metavar=metavar, type=kind, help=about)


def check_processes(options) -> bool:
    """Whether several processes are meant.

    Raises:
        ValueError: if what is said of them is not enough.
    """
    given = (options.coordinator, options.processes, options.process)
    if not options.distributed and given == (None, None, None):
        return False
    if not options.distributed and None in given:
        raise ValueError(
            "several processes each need --coordinator HOST:PORT --processes N "
            "--process I; or --distributed alone on Slurm, Open MPI and Cloud TPUs"
        )
    if options.processes is not None and not (
        options.process is None or 0 <= options.process < options.processes
    ):
        raise ValueError(
            f"--process must be from 0 to {options.processes - 1}, not "
            f"{options.process}"
        )
    return True


def run(
    options,
    base: Config,
    axes: Sequence[str],
    *,
    config: str | Path | None,
    fixed: Sequence[str],
    began: float,
) -> str:
    """Run the sweep; returns the code of its outcome.

    Args:
        options: of the command line.
        base: what all lanes have in common.
        axes: axes and options of the sweep, as they were written.
        config: the file that the base was loaded from, or None.
        fixed: keys that were set for all lanes.
        began: ``time.perf_counter()`` value at which the process began.

    Raises:
        ValueError: for whatever does not fit.
    """
    several = check_processes(options)
    if several and base.output.dir is None:
        raise ValueError("several processes share one folder: give --out FOLDER")
    try:
        sweep = command_line.read(config, axes, base, fixed=fixed, many=options.yes)
    except TooManyLanes as error:
        from nst_jax.sweep_plan import refusal_of_many

        raise refusal_of_many(error) from error
    with stoppable() as stop:
        from nst_jax.outputs.progress import byte_progress, reporter
        from nst_jax.sweep_run import run_sweep
        from nst_jax.team import join

        team = None
        if several:
            where = options.coordinator
            team = join(
                coordinator=where, processes=options.processes, process=options.process
            )
        said = reporter(quiet=options.quiet)
        with byte_progress(quiet=options.quiet) as progress:
            result = run_sweep(
                base,
                sweep,
                overwrite=options.overwrite,
                resume=options.resume,
                yes=options.yes,
                reporter=said,
                began=began,
                progress=progress,
                stop=stop,
                team=team,
            )
    said.say(f"{result.outcome.text}\n{result.folder}")
    if result.outcome.code == "interrupted":
        place = shlex.quote(str(result.folder))
        said.say(f"go on with: nst-jax sweep --resume --out {place}")
    return result.outcome.code
