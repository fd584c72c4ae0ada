"""What the benchmarks share: fair timing, peak memory, a table.

Machines are noisy, so only ratios within one run are reported. The candidates take turns (A B C A B C …), each
ratio is that of the medians, and the first round is thrown away.
"""

import os
import platform
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from time import perf_counter

import pandas as pd
import psutil
import torch

from seglab._utils.environment import cpu_name

Candidates = Mapping[str, Callable[[], object]]


def milliseconds(candidates: Candidates, rounds: int = 15) -> dict[str, float]:
    """Median milliseconds of each candidate; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds + 1):
        for name, run in candidates.items():
            start = perf_counter()
            run()
            times[name].append(1e3 * (perf_counter() - start))
    return {name: median(t[1:]) for name, t in times.items()}


def peak_megabytes(run: Callable[[], object]) -> float:
    """Memory that `run` takes at its peak: what NumPy says it allocated, or what the process grew by if that is more.

    torch does not say what it allocates, but large tensors are pages of their own and show in the size of the
    process, on Linux.
    """
    run()
    tracemalloc.start()
    run()
    traced = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    reset, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if not reset.exists():
        return traced
    before = psutil.Process().memory_info().rss
    reset.write_text("5")  # forget the highest size so far
    run()
    high = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return max(traced, (int(high.split()[1]) * 1024 - before) / 1e6)


def ratios(times: Mapping[str, float], ours: str) -> pd.DataFrame:
    """Milliseconds, and how many times as long as ours."""
    table = pd.DataFrame({"ms": times})
    table["times ours"] = table["ms"] / times[ours]
    return table


def show(title: str, table: pd.DataFrame) -> None:
    print(f"\n{title}\n{table.round(2).to_string()}", flush=True)


def header() -> None:
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    wide = [f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f in flags]
    print(f"{cpu_name()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, {' '.join(wide)}")
    print(f"Python {platform.python_version()}, torch {torch.__version__}")
