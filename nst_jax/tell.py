"""What the user is told of a run besides its progress."""

from nst_jax.modes.multiscale import kind_of
from nst_jax.outputs.checkpoint import Checkpoints
from nst_jax.outputs.manifest import device_name
from nst_jax.outputs.progress import Quiet
from nst_jax.prepare import Prepared
from nst_jax.resume import Earlier
from nst_jax.solve.loop import Resume
from nst_jax.types import Device


def say_headline(reporter: Quiet, prepared: Prepared, device: Device) -> None:
    """Device, network, size and iterations."""
    height, width = prepared.content.shape[:2]
    scales = [(max(s.content.shape[:2]), s.iterations) for s in prepared.scales]
    kind = kind_of(prepared.scales)
    several = f"{len(scales)} {kind}s · " if len(scales) > 1 else ""
    reporter.headline(
        f"{device_name(device)} · {prepared.weights.name} "
        f"({prepared.network.pooling} pooling) · {width} x {height} · "
        f"{several}{sum(count for _, count in scales)} iterations",
        scales,
        note=prepared.note,
    )
    reporter.say(prepared.memory.text)
    for sentence in prepared.notes:
        reporter.say(f"note: {sentence}")


def say_where(reporter: Quiet, earlier: Earlier | None, going: Resume | None) -> None:
    """Where a run goes on that was asked to; nothing if ``earlier`` is None."""
    if earlier is None:
        return
    for note in earlier.notes:
        reporter.say(f"note: {note}")
    if going is not None:
        reporter.say(f"going on after iteration {going.record.iteration}")
    else:
        reporter.say(
            f"{earlier.folder}: nothing to go on with; starting from the beginning"
        )


def say_failures(reporter: Quiet, kept: Checkpoints) -> None:
    """Checkpoints that could not be written."""
    while kept.failures:
        reporter.say(f"warning: no checkpoint: {kept.failures.pop()}")
