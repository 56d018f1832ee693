"""manifest.json: what made the result, in versions, hashes and seconds."""

import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from nst_jax.types import Device

PACKAGES = ("nst-jax", "jax", "jaxlib", "flax", "optax", "jaxopt", "numpy", "pillow")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        found[package] = importlib.metadata.version(package)
    return found


def device_name(device: Device) -> str:
    """A device in words: "CPU (8 cores)" or "gpu: NVIDIA H200"."""
    if device.platform == "cpu":
        return f"CPU ({_cores()} cores)"
    return f"{device.platform.upper()}: {device.device_kind}"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def peak_memory_bytes(device: Device) -> int | None:
    """The most memory used so far: the device's own, or the process's on a CPU.

    None where the system does not tell.
    """
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "peak_bytes_in_use" in stats:
        return int(stats["peak_bytes_in_use"])
    try:
        # getrusage would begin with what the parent had when it started this process.
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        pass
    if sys.platform == "win32":
        return None
    import resource

    # macOS counts bytes, other systems kilobytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def file_sha256(path: str | os.PathLike) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def input_entry(path: str | None, shape: tuple[int, ...]) -> dict[str, Any]:
    """How the manifest names an input picture; arrays have no file."""
    height, width = shape[:2]
    entry: dict[str, Any] = {"height": height, "width": width}
    if path is None:
        return {"file": None, **entry}
    return {"file": str(Path(path).resolve()), "sha256": file_sha256(path), **entry}


def to_json(manifest: dict[str, Any]) -> str:
    """The manifest as text."""
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
