"""Several processes that share a sweep: on the hosts of a TPU pod, a Slurm job, ...

Each runs its own lanes on its own devices and writes their folders; they share nothing
else, so that no process waits for another while it computes. The first process makes
the folder, waits for the others at the end, and writes what shows all lanes.
"""

import json
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from nst_jax.host import find_device
from nst_jax.outputs.files import write_text
from nst_jax.types import Device

PLACE = "processes"  # folder in which the processes say that they are at their end
LOOK_SECONDS = 0.2
Item = TypeVar("Item")


class Team(NamedTuple):
    """Who shares the work.

    Attributes:
        process: number of this process, from 0.
        processes: how many there are.
    """

    process: int = 0
    processes: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that makes the folder and the overview."""
        return self.process == 0

    def share(self, items: Sequence[Item]) -> list[Item]:
        """What of some items is for this process: each item is for one."""
        return list(items[self.process :: self.processes])


def join(
    *,
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
) -> Team:
    """Join the other processes; each calls this once, before it uses JAX.

    Args:
        coordinator: address that the first process listens at, "host:port"; None:
            as Slurm, a Cloud TPU or Open MPI say, and so for the others.
        processes: how many there are.
        process: number of this one.

    Raises:
        ValueError: if nothing says where the others are, or they are not there.
    """
    # It would take SIGTERM for itself, which asks a sweep to end.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(coordinator, processes, process)
    except (ValueError, RuntimeError) as error:
        where = f" at {coordinator}" if coordinator else ""
        first_line = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"the processes do not find each other{where} ({first_line}); outside of "
            "Slurm, Open MPI and Cloud TPUs each process needs --coordinator HOST:PORT "
            "--processes N --process I"
        ) from error
    return Team(jax.process_index(), jax.process_count())


def local_devices(wanted: str | None) -> list[Device]:
    """This process's devices of a kind; one, if it is named by its number.

    Args:
        wanted: "cpu", "gpu", "tpu", "gpu:1"; None: the best there are.

    Raises:
        ValueError: if there is no such device; lists those there are.
    """
    kind, colon, number = (wanted or "").partition(":")
    # Asked of the kind alone: numbers are counted through all processes there.
    found = find_device(kind if jax.process_count() > 1 and kind else wanted)
    devices = jax.local_devices(backend=found.platform)
    if not colon:
        return devices
    if not number.isdecimal() or int(number) >= len(devices):
        raise ValueError(f"device {wanted!r} is not there: there are {len(devices)}")
    return [devices[int(number)]]


# --- waiting for each other -------------------------------------------------------


def begin(team: Team, make: Callable[[], None]) -> int:
    """Let the first process make the folder while the others wait.

    Args:
        team: all processes call this.
        make: called by the first one.

    Returns:
        A number that only this sweep has.

    Raises:
        ValueError: from ``make``; in the other processes, that it was refused.
    """
    token, failure = secrets.randbelow(2**31 - 1) + 1, None
    if team.is_first:
        try:
            make()
        except ValueError as error:
            failure, token = error, 0
    if team.processes > 1:
        told = multihost_utils.broadcast_one_to_all(np.int32(token))
        token = int(np.asarray(told))
    if failure is not None:
        raise failure
    if token == 0:
        raise ValueError("the first process could not begin, and says why")
    return token


def say_end(folder: Path, team: Team, token: int, outcome: str) -> None:
    """Tell the other processes that this one has written all it will write.

    Args:
        folder: of the sweep.
        team: all processes call this.
        token: of ``begin``.
        outcome: how it ended, a word.

    Raises:
        ValueError: if the file cannot be written.
    """
    place = folder / PLACE
    place.mkdir(exist_ok=True)
    entry = json.dumps({"token": token, "outcome": outcome})
    write_text(place / f"{team.process}.json", entry)


def wait_for(
    folder: Path, others: Sequence[int], token: int, *, stop: Callable[[], bool]
) -> list[str]:
    """Wait until other processes have said that they are at their end.

    Files, not a barrier of JAX: hours may lie between the ends of two processes. One
    that dies without a word is noticed by JAX, which then ends the others.

    Args:
        folder: of the sweep, which all processes see.
        others: their numbers.
        token: of ``begin``.
        stop: asked now and then; True ends the waiting.

    Returns:
        Their outcomes; of those that were not waited for, "missing".
    """
    while True:
        outcomes = [_outcome(folder / PLACE / f"{n}.json", token) for n in others]
        if stop() or None not in outcomes:
            return [outcome or "missing" for outcome in outcomes]
        time.sleep(LOOK_SECONDS)


def _outcome(path: Path, token: int) -> str | None:
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        return entry["outcome"] if entry["token"] == token else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
