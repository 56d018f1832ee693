"""The machine a run is on: its devices, and the programs compiled for them."""

import contextlib
import hashlib
import os
import platform
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

from nst_jax.features.cache import cache_folder
from nst_jax.types import Device

# A program of ours takes 5 to 400 kB; the oldest go when there is no more room.
CACHE_BYTES = 2**30
# All are kept, however small: half of the time to the first step goes into some twenty
# that take 0.02 to 0.1 s each.
CACHE_OPTIONS = {
    "jax_compilation_cache_max_size": CACHE_BYTES,
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}
# How JAX's warnings on its cache begin.
CACHE_TROUBLE = r"Error (reading|writing) persistent compilation cache"


@contextlib.contextmanager
def on_device(wanted: str | None) -> Iterator[Device]:
    """Make a device the default, and say which it is; see ``find_device``."""
    device = find_device(wanted)
    with jax.default_device(device):
        yield device


def find_device(wanted: str | None) -> Device:
    """The device called "cpu", "gpu", "tpu" or "gpu:1"; the best there is if None.

    Raises:
        ValueError: if there is no such device; lists those there are.
    """
    try:
        seen = jax.devices()
    except (RuntimeError, AssertionError) as error:
        # As with JAX_PLATFORMS=cuda and no GPU; JAX asserts that there is a device.
        raise ValueError(
            "JAX finds no device to run on; see whether JAX_PLATFORMS is set"
        ) from error
    if wanted is None:
        return seen[0]
    kind, colon, number = wanted.lower().partition(":")
    try:
        if not kind or (colon and not number.isdecimal()):
            raise ValueError(wanted)
        return jax.devices(kind)[int(number or 0)]
    except (RuntimeError, IndexError, ValueError) as error:
        names = ", ".join(f"{d.platform}:{d.id}" for d in seen)
        raise ValueError(
            f"device {wanted!r} is not there; JAX sees {names} (for a GPU or TPU "
            "install nst-jax[cuda] or nst-jax[tpu])"
        ) from error


# --- compiled programs ----------------------------------------------------------


@contextlib.contextmanager
def use_compile_cache(enabled: bool, *, folder: Path | None = None) -> Iterator[None]:
    """Keep compiled programs on disk for the next process, while the context lasts.

    JAX's settings are as before afterwards. A cache of the user's own
    (JAX_COMPILATION_CACHE_DIR) is left alone, and a folder that cannot be used, or
    that others may write to, is not used. Trouble with the cache is no trouble of the
    run: it compiles, and a damaged cache is emptied at the end.

    Args:
        enabled: if False, nothing is changed.
        folder: where; the place of this processor in the user's cache if None.
    """
    if not enabled or _users_own():
        yield
        return
    folder = compile_cache_folder() if folder is None else folder
    if not _usable(folder):
        yield
        return
    options = {"jax_compilation_cache_dir": str(folder), **CACHE_OPTIONS}
    with _jax_options(options), _quiet_loader(), _collected_trouble() as trouble:
        # JAX opens its cache once, and keeps to it whatever is set later.
        compilation_cache.reset_cache()
        try:
            yield
        finally:
            compilation_cache.reset_cache()
    if trouble:
        shutil.rmtree(folder, ignore_errors=True)


def compile_cache_folder() -> Path:
    """Folder of the programs that were compiled for this processor.

    Machines may share a home folder. Programs for the CPU may hold instructions that
    another one lacks, and JAX's own key does not tell processors apart.
    """
    return cache_folder() / "compiled" / _processor()


def _processor() -> str:
    parts = [platform.machine(), platform.system(), str(os.cpu_count())]
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        wanted = ("model name", "flags", "Features", "CPU part")
        parts += sorted({line for line in lines if line.startswith(wanted)})
    except OSError:  # not Linux
        parts += [platform.processor(), platform.node()]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return f"{platform.machine()}-{digest[:12]}"


def _users_own() -> bool:
    values = jax.config.values
    off = not values["jax_enable_compilation_cache"]
    return off or bool(values["jax_compilation_cache_dir"])


def _usable(folder: Path) -> bool:
    """Whether we, and only we, can write to the folder: what it holds is executed."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if hasattr(os, "geteuid"):
            status = folder.stat()
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                return False
        return os.access(folder, os.W_OK)
    except OSError:
        return False


@contextlib.contextmanager
def _jax_options(options: dict) -> Iterator[None]:
    before = {name: jax.config.values[name] for name in options}
    try:
        for name, value in options.items():
            jax.config.update(name, value)
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


@contextlib.contextmanager
def _collected_trouble() -> Iterator[list[str]]:
    """JAX's warnings on its cache, which would otherwise be shown to the user."""
    trouble = []
    with warnings.catch_warnings():
        show = warnings.showwarning

        def sort(message, category, filename, lineno, file=None, line=None):
            if str(message).startswith("Error ") and "compilation cache" in str(
                message
            ):
                trouble.append(str(message))
            else:
                show(message, category, filename, lineno, file, line)

        warnings.filterwarnings("always", CACHE_TROUBLE)
        warnings.showwarning = sort
        yield trouble


@contextlib.contextmanager
def _quiet_loader() -> Iterator[None]:
    """Silence a false alarm of jaxlib 0.10 and 0.11.

    On many processors they say, at length and for each program, that it was compiled
    for another machine, because they take two preferences of the compiler for
    instructions (jax issue 38445).
    """
    chosen = jax.config.values["jax_logging_level"]
    if jax.__version_info__ >= (0, 12) or chosen not in (None, "NOTSET"):
        yield
        return
    usual = {"0": "INFO", "2": "ERROR", "3": "CRITICAL"}.get(
        os.environ.get("TF_CPP_MIN_LOG_LEVEL", ""), "WARNING"
    )
    jax.config.update("jax_logging_level", "CRITICAL")
    try:
        yield
    finally:
        # NOTSET alone leaves the level of the compiled part as it is.
        jax.config.update("jax_logging_level", usual)
        jax.config.update("jax_logging_level", chosen)
