"""The ground a measurement stands on: versions, machine, hashes. A manifest holds it."""

import os
import platform
import shutil
import subprocess
import sys
from contextlib import suppress
from importlib import metadata
from itertools import chain
from pathlib import Path

import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from torch import nn

from seglab._utils.paths import share_dir, working_root

GB = 1024**3
GROUPS = Path("/sys/fs/cgroup")  # where Linux says what a container may take, in either version of control groups
LIMITS = ("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")


def requirements() -> list[Requirement]:
    """What seglab needs on this machine, as its own metadata states it; without the extras."""
    wanted = [Requirement(line) for line in metadata.requires("seglab") or []]
    return [r for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]


def installed(name: str) -> str | None:
    """Version of an installed package, None where it is missing."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """Python, seglab and each package it needs directly → the installed version."""
    names = ["seglab", *sorted(r.name for r in requirements())]
    return {"python": platform.python_version()} | {name: installed(name) or "missing" for name in names}


def tested_versions() -> dict[str, str]:
    """Package → the version that seglab was last tested with: the pins of `constraints.txt`."""
    share = share_dir()
    if share is None or not (share / "constraints.txt").is_file():
        return {}
    lines = (share / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = (Requirement(line) for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}


def memory() -> tuple[int, int]:
    """Bytes of memory, and how many of them are free: the container's, where it is given less than its machine has.

    Cached files count as free, as the system drops them when memory is asked for.
    """
    import psutil

    whole = psutil.virtual_memory()
    total, free = whole.total, whole.available
    for most, used in LIMITS:
        with suppress(OSError, ValueError):  # the other version; or "max", which is no limit
            limit = int((GROUPS / most).read_text())
            kinds = dict(line.split() for line in (GROUPS / most).with_name("memory.stat").read_text().splitlines())
            cached = kinds.get("total_inactive_file") or kinds["inactive_file"]
            left = limit - int((GROUPS / used).read_text()) + int(cached)
            total, free = min(total, limit), min(free, left)
    return total, max(free, 0)


def machine() -> dict[str, object]:
    """What computes here: system, processor, threads, memory, accelerator, free disk. JSON-ready."""
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
    """The processor in its maker's words, or its architecture where the system does not tell."""
    if sys.platform == "linux":
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        return named[0] if named else platform.machine()
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or platform.machine()
    return platform.processor() or platform.machine()


def accelerator() -> str | None:
    """Name of the GPU that torch can use, None when there is none."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return "Apple GPU (mps)" if torch.backends.mps.is_available() else None


def device_of(module: nn.Module) -> torch.device:
    """Where its weights are; the CPU for one that has none."""
    return next(chain(module.parameters(), module.buffers()), torch.empty(0)).device


def find_device(device: str | torch.device | None = None) -> torch.device:
    """The device of this name with its index; None selects a CUDA GPU where there is one, else the CPU.

    Under `torchrun`, which sets LOCAL_RANK, None and "cuda" select a GPU for each process of the machine.

    Raises:
        ValueError: this machine has no such device; the message lists the devices it has.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    name = str(device or ("cuda" if gpus else "cpu"))
    if name == "cuda" and gpus and "LOCAL_RANK" in os.environ:
        name = f"cuda:{int(os.environ['LOCAL_RANK']) % gpus}"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # torch without CUDA raises an AssertionError
        available = ", ".join(["cpu", *(f"cuda:{i}" for i in range(gpus)), *["mps"] * torch.backends.mps.is_available()])
        raise ValueError(f"device {name!r} cannot be used on this machine; available: {available}") from error
