"""The command line: ``nst-jax stylize | sweep | demo | score | weights | ...``.

The only place that prints errors and exits. Exit codes: 0 done, 2 bad input (one
line on stderr), 130 stopped by Ctrl-C.
"""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from nst_jax import config as configs
from nst_jax import score_cli, sweep_cli
from nst_jax.cli_keys import FLAGS, KEYS, SWITCHES
from nst_jax.signals import stoppable
from nst_jax.sweep_spec import command_line
from nst_jax.yamltext import parse_yaml

STOPPED = 130  # what shells report for a program that Ctrl-C ended
# The beginning of the process as far as it is ours: the operating system's own answer
# would count what a shell did before it turned into us.
BEGAN = time.perf_counter()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    try:
        options = _options(arguments)
        code = options.command(options)
        if sys.stdout is not None:  # None: it was closed before Python began
            sys.stdout.flush()
        return code
    except BrokenPipeError:  # as in `nst-jax presets | head -1`
        # Else Python complains when it flushes at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except (ValueError, ConnectionError) as error:
        return _refuse(str(error))
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _refuse(f"{place}{error.strerror or error}")
    except KeyboardInterrupt:
        print("nst-jax: stopped", file=sys.stderr)
        return STOPPED
    except Exception as error:
        if "RESOURCE_EXHAUSTED" in str(error) or isinstance(error, MemoryError):
            return _refuse("out of memory: choose a smaller --size or solver.history")
        raise


def program(*, arguments: Sequence[str] | None = None) -> NoReturn:
    """``main`` as a process of its own.

    Args:
        arguments: the command line without the program's name; sys.argv's if None.
    """
    code = main(arguments)
    if code == STOPPED:
        # XLA's threads may still be at work, and crash if Python is taken down
        # beneath them.
        for stream in filter(None, (sys.stdout, sys.stderr)):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _refuse(message: str) -> int:
    print(f"nst-jax: {' '.join(message.split())}", file=sys.stderr)
    return 2


class _Parser(argparse.ArgumentParser):
    """Reports mistakes as every other error is: in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(_refuse(f"{message}; see {self.prog} --help"))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line; KEY=VALUE may stand anywhere in it."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    overrides = getattr(options, "overrides", None)
    if rest and (overrides is None or any(text.startswith("-") for text in rest)):
        parser.error(f"unknown argument {' '.join(rest)}")
    if overrides is not None:
        overrides += rest
    return options


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="nst-jax",
        description="Neural style transfer by optimisation (Gatys et al. 2016).",
    )
    parser.add_argument("--version", action="version", version=version("nst-jax"))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_stylize(commands, "stylize", "make one stylised picture")
    sweep = _add_stylize(commands, "sweep", sweep_cli.ABOUT)
    sweep.set_defaults(command=_sweep)
    sweep.epilog = sweep_cli.KEYS + KEYS.partition("\nexample:")[0]
    sweep_cli.add_options(sweep)
    about = "make a texture of any size: nst-jax texture STYLE --size 640x480"
    texture = _add_stylize(commands, "texture", about)
    about = "opposite edges fit together: the picture can be repeated"
    texture.add_argument("--tileable", action="store_true", help=about)
    texture.set_defaults(command=_texture)
    about = "make the example picture; no files needed; defaults: configs/starry.yaml"
    demo = _add_stylize(commands, "demo", about)
    demo.set_defaults(config=_demo_config())
    score = _add(
        commands,
        "score",
        _score,
        score_cli.ABOUT,
        epilog=score_cli.NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    score_cli.add_options(score)
    _add_weights(commands)
    _add(commands, "presets", _presets, "list the recipes")
    _add(commands, "info", _info, "show device, versions, weights and folders")
    return parser


def _add(commands, name: str, command: Callable, about: str, **options):
    parser = commands.add_parser(name, help=about, description=about, **options)
    parser.set_defaults(command=command)
    return parser


def _add_stylize(commands, name: str, about: str) -> argparse.ArgumentParser:
    parser = _add(
        commands,
        name,
        _stylize,
        about,
        epilog=KEYS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", metavar="YAML", help="configuration to start from")
    for flag, (_, metavar, about) in FLAGS.items():
        several = {"action": "append"} if flag == "style" else {}
        parser.add_argument(f"--{flag}", metavar=metavar, help=about, **several)
    for flag, (_, value, about) in SWITCHES.items():
        parser.add_argument(f"--{flag}", action="store_const", const=value, help=about)
    about = "weight of each --style, in their order; only ratios count"
    parser.add_argument("--style-weight", metavar="N", action="append", help=about)
    parser.add_argument("--overwrite", action="store_true", help="replace --out")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run in --out, with its own settings if none are given",
    )
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="keys of the config; see below",
    )
    return parser


def _demo_config() -> str:
    """configs/starry.yaml: inside an installed package, or beside it in a clone."""
    package = Path(__file__).parent
    installed = package / "demo" / "starry.yaml"
    return str(
        installed if installed.exists() else package.parent / "configs/starry.yaml"
    )


def _add_weights(commands) -> None:
    about = "list, fetch, find or convert weights"
    parser = commands.add_parser("weights", help=about, description=about)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add(actions, "list", _weights_list, "names, and where their files are")
    for action, command, about in (
        ("fetch", _weights_fetch, "download and convert named weights"),
        ("path", _weights_path, "print the path of a weights file"),
    ):
        _add(actions, action, command, about).add_argument("name", metavar="NAME")
    convert = _add(actions, "convert", _weights_convert, "convert a file of weights")
    convert.add_argument("source", metavar="SRC", help=".pth, .safetensors, Keras .h5")
    convert.add_argument("target", metavar="DST", help="the .h5 file to write")
    convert.add_argument("--overwrite", action="store_true", help="replace DST")


# --- commands -------------------------------------------------------------------
# jax is imported inside: --help and mistakes in a config must not wait for it.


def _stylize(options) -> int:
    config = _config(options)
    _say_preparing(options.quiet)
    with stoppable() as stop:
        from nst_jax.outputs.progress import byte_progress, reporter
        from nst_jax.run import run

        with byte_progress(quiet=options.quiet) as progress:
            result = run(
                config,
                overwrite=options.overwrite,
                resume=options.resume,
                reporter=reporter(quiet=options.quiet),
                began=BEGAN,
                progress=progress,
                stop=stop,
            )
    return STOPPED if result.outcome.code == "interrupted" else 0


def _texture(options) -> int:
    """The style may stand among KEY=VALUE; the size is WIDTHxHEIGHT, or both in one."""
    styles = [text for text in options.overrides if "=" not in text]
    options.overrides = [text for text in options.overrides if "=" in text]
    options.style = [*(options.style or ()), *styles] or None
    sides = (options.size or "512").lower().split("x")
    has_own = options.size is None and (options.config or options.resume)
    if not has_own and not any(
        text.startswith("texture") for text in options.overrides
    ):
        if len(sides) > 2 or not all(side.isdigit() for side in sides):
            raise ValueError(f"--size {options.size}: expected 512 or 640x480")
        options.overrides.insert(0, f"texture=[{sides[0]}, {sides[-1]}]")
    if options.tileable:
        options.overrides.append("tileable=true")
    options.size = None
    return _stylize(options)


def _sweep(options) -> int:
    given = options.config or _config_of_earlier(options)
    options.overrides, axes = command_line.split(options.overrides)
    fixed = [text.partition("=")[0] for text in options.overrides]
    fixed += [key for key, _ in _flags(options)]
    base = _config(options)
    _say_preparing(options.quiet)
    code = sweep_cli.run(options, base, axes, config=given, fixed=fixed, began=BEGAN)
    return STOPPED if code == "interrupted" else 0


def _score(options) -> int:
    score_cli.run(options)
    return 0


def _flags(options) -> list[tuple[str, str]]:
    """Keys and texts of the flags that were given."""
    given = (
        (key, getattr(options, flag.replace("-", "_")))
        for flag, (key, _, _) in (FLAGS | SWITCHES).items()
    )
    return [(key, value) for key, value in given if value is not None]


def _config(options) -> configs.Config:
    given = options.config or _config_of_earlier(options)
    config = configs.Config() if given is None else configs.load(given)
    if options.style_weight is not None and options.style is None:
        raise ValueError("--style-weight is for styles given with --style: give those")
    for key, value in _flags(options):
        if key == "style":
            config = _with_styles(config, value, options.style_weight)
            continue
        config = configs.set_text(config, key, value, where=f"--{_flag_of(key)}")
    return configs.override(config, options.overrides)


def _with_styles(
    config: configs.Config, files: Sequence[str], weights: Sequence[str] | None
) -> configs.Config:
    """The config with one style or several of them."""
    if len(files) == 1 and weights is None:
        return configs.set_text(config, "style", files[0], where="--style")
    where = "--style-weight"
    numbers: list | None = None
    if weights is not None:
        numbers = [parse_yaml(text, where=where) for text in weights]
    return configs.changed(config, styles=configs.blended(files, numbers, where=where))


def _config_of_earlier(options) -> Path | None:
    """The config of the run to go on with, if nothing else says what to run."""
    if not options.resume or options.out is None:
        return None
    if options.content is not None or options.style is not None:
        return None
    from nst_jax.outputs.run_folder import CONFIG, split_output

    folder, _ = split_output(options.out)
    return folder / CONFIG if folder and (folder / CONFIG).exists() else None


def _say_preparing(quiet: bool) -> None:
    """Something at once: what follows may take seconds to import."""
    out = sys.stdout
    if not quiet and out is not None and not out.closed and out.isatty():
        with contextlib.suppress(OSError):
            print("preparing ...", file=out, flush=True)


def _flag_of(key: str) -> str:
    return next(
        flag for flag, (name, _, _) in (FLAGS | SWITCHES).items() if name == key
    )


def _weights_list(options) -> int:
    from nst_jax.features.pretrained import listing

    for entry in listing():
        size = f"{entry.size / 1e6:.3g} MB"
        place = entry.path or f"fetch it with: nst-jax weights fetch {entry.name}"
        print(f"{entry.name:12} {size:>8}  {entry.description}\n{'':22} {entry.state}")
        print(f"{'':22} {place}")
    return 0


def _weights_fetch(options) -> int:
    from nst_jax.features.pretrained import fetch
    from nst_jax.outputs.progress import byte_progress

    with byte_progress() as progress:
        print(fetch(options.name, progress=progress))
    return 0


def _weights_path(options) -> int:
    from nst_jax.features.pretrained import locate

    path = locate(options.name)
    if path is None:
        raise ValueError(
            f"{options.name} is not here; fetch it with: nst-jax weights fetch "
            f"{options.name}"
        )
    print(path)
    return 0


def _weights_convert(options) -> int:
    from weights_convert.__main__ import main as convert

    overwrite = ["--overwrite"] if options.overwrite else []
    return convert(["auto", options.source, options.target, *overwrite])


def _presets(options) -> int:
    from nst_jax.objective.presets import PRESETS

    for name, preset in PRESETS.items():
        print(f"{name}: {preset.about}")
        print(
            f"    alpha {preset.alpha:g}, beta {preset.beta:g}, {preset.pooling} "
            f"pooling, start {preset.start}, rescale {str(preset.rescale).lower()}"
        )
    return 0


def _info(options) -> int:
    import jax

    from nst_jax.features.cache import cache_folder
    from nst_jax.features.pretrained import listing
    from nst_jax.outputs.manifest import device_name, versions

    for name, number in versions().items():
        print(f"{name:12} {number}")
    for device in jax.devices():
        print(f"{'device':12} {device_name(device)}")
    print(f"{'cache':12} {cache_folder()}")
    for entry in listing():
        print(f"{'weights':12} {entry.name}: {entry.path or entry.state}")
    return 0


if __name__ == "__main__":
    program()
