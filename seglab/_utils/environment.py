"""Versions, processor, memory and devices of this machine; torch is imported late, so that `doctor` can report it."""

import os
import platform
import shutil
import subprocess
import sys
from contextlib import suppress
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from seglab._utils.paths import share_dir, working_root

if TYPE_CHECKING:
    import torch

GB = 1024**3
GROUPS = Path("/sys/fs/cgroup")  # control groups of Linux: a container's limits, in version 2 or 1
LIMITS = ("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")


def requirements() -> list[Requirement]:
    """The packages that seglab requires on this machine, from its own metadata; without the extras."""
    declared = [Requirement(line) for line in metadata.requires("seglab") or []]
    return [r for r in declared if r.marker is None or r.marker.evaluate({"extra": ""})]


def installed(name: str) -> str | None:
    """Version of an installed package, None where it is missing."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """Python, seglab and each directly required package → the installed version."""
    names = ["seglab", *sorted(r.name for r in requirements())]
    return {"python": platform.python_version()} | {name: installed(name) or "missing" for name in names}


def tested_versions() -> dict[str, str]:
    """Package → the version that seglab was last tested with: the pins of `constraints.txt`, if there is one."""
    share = share_dir()
    if share is None or not (share / "constraints.txt").is_file():
        return {}
    lines = (share / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = (Requirement(line) for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}


def memory() -> tuple[int, int]:
    """Total and free memory in bytes: the container's where it has a limit, else the machine's.

    Cached files count as free, because the system drops them when memory is needed.
    """
    import psutil

    machine_memory = psutil.virtual_memory()
    total, free = machine_memory.total, machine_memory.available
    for limit_file, usage_file in LIMITS:
        with suppress(OSError, ValueError):  # the files of the other version; or "max", which is no limit
            limit, usage = (int((GROUPS / name).read_text()) for name in (limit_file, usage_file))
            lines = (GROUPS / limit_file).with_name("memory.stat").read_text().splitlines()
            parts = dict(line.split() for line in lines)
            cached = int(parts.get("total_inactive_file") or parts["inactive_file"])
            total, free = min(total, limit), min(free, limit - usage + cached)
    return total, max(free, 0)


def machine() -> dict[str, object]:
    """System, processor, threads, memory, accelerator and free disk space; JSON-ready."""
    import torch

    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(memory()[0] / GB, 1),
        "accelerator": accelerator(),
        "free_disk_gb": round(shutil.disk_usage(working_root()).free / GB, 1),
    }


def cpu_name() -> str:
    """The processor's model name, or its architecture where the system does not report the name."""
    name = platform.processor()
    if sys.platform == "linux":
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    elif sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        name = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return name or platform.machine()


def accelerator() -> str | None:
    """Name of the GPU that torch can use, None when there is none."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return "Apple GPU (mps)" if torch.backends.mps.is_available() else None


def device_of(module: "torch.nn.Module") -> "torch.device":
    """The device of a module's weights; the CPU for a module without weights."""
    import torch

    return next(chain(module.parameters(), module.buffers()), torch.empty(0)).device


def find_device(device: "str | torch.device | None" = None) -> "torch.device":
    """The device of this name, with its index; None selects a CUDA GPU where there is one, else the CPU.

    Under `torchrun`, which sets LOCAL_RANK, None and "cuda" select a GPU of its own for each process of a machine.

    Raises:
        ValueError: this machine has no such device; the message lists those that it has.
    """
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    name = str(device or ("cuda" if gpus else "cpu"))
    if name == "cuda" and gpus and "LOCAL_RANK" in os.environ:
        name = f"cuda:{int(os.environ['LOCAL_RANK']) % gpus}"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # torch without CUDA raises an AssertionError
        devices = ["cpu", *(f"cuda:{i}" for i in range(gpus))] + ["mps"] * torch.backends.mps.is_available()
        raise ValueError(f"device {name!r} cannot be used on this machine; available: {', '.join(devices)}") from error
