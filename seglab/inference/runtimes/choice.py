"""Which runtime computes a model: those that are installed, agree with torch, and the fastest of these.

A runtime is used after its masks of real images were compared with torch's, in each process anew: in float32 at most
one pixel in ten thousand may differ, in bfloat16 at most twice as many as differ between torch's own bfloat16 and
float32. The choice of "auto" is kept in the cache of this machine for these weights, versions and threads.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter
from warnings import warn

import torch
from torch import Tensor
from tqdm.auto import tqdm

from seglab._utils.environment import cpu_name, device_of, installed
from seglab._utils.errors import unknown
from seglab._utils.paths import cache_dir, replacing
from seglab.inference.runtimes.onnx_runtime import OnnxRuntime
from seglab.inference.runtimes.open_vino import OpenVino
from seglab.inference.runtimes.session import Graphs, Session, key_of
from seglab.masks.argmax import to_mask
from seglab.models.adapters import SegModel

TORCH, AUTO = "torch", "auto"
SESSIONS: Mapping[str, type[OnnxRuntime] | type[OpenVino]] = {"onnxruntime": OnnxRuntime, "openvino": OpenVino}
RUNTIMES = (TORCH, *SESSIONS, AUTO)
DIFFER = 1e-4  # fraction of the pixels that may differ
WORTH = 120.0  # seconds that torch would need for all images; below that an export and a comparison cost more
FEW = 20  # images; for fewer not even torch is measured
ROUNDS = 5  # of the comparison of times; the first is not counted
Forward = Callable[..., Tensor]  # normalised images, precision → torch's scores


def usable(model: torch.nn.Module) -> bool:
    """Whether other runtimes than torch take a model: it has float32 weights on a CPU."""
    weights = [weight.dtype for weight in model.parameters() if weight.is_floating_point()]
    return device_of(model).type == "cpu" and set(weights) <= {torch.float32}


def checked(runtime: str, usable: bool) -> str:
    """The runtime; "torch" instead of "auto" for a model that no other can compute.

    Args:
        usable: see `usable`.

    Raises:
        ValueError: the runtime is unknown or not installed, or the model is not usable on it.
    """
    if runtime not in RUNTIMES:
        raise unknown("runtime", runtime, RUNTIMES)
    if runtime in SESSIONS and missing(runtime):
        raise ValueError(
            f"runtime {runtime!r} needs the packages {', '.join(missing(runtime))}, which are not installed:"
            " pip install 'seglab[fast]' (in a checkout: pip install '.[fast]')"
        )
    if runtime in SESSIONS and not usable:
        raise ValueError(f"runtime {runtime!r} computes float32 weights on a CPU; use runtime='torch' for this model")
    return TORCH if runtime == AUTO and not usable else runtime


def missing(runtime: str) -> list[str]:
    """The packages of a runtime that are not installed."""
    return [name for name in ("onnx", "onnxscript", runtime) if find_spec(name) is None]


def titled(runtime: str) -> str:
    """A runtime with its version, for the identity of a measurement: "onnxruntime 1.32.0"."""
    return f"{runtime} {installed(runtime)}"


def session(
    runtime: str, model: SegModel, precision: str, batches: Sequence[Tensor], forward: Forward, fixed: bool = True
) -> Session:
    """A model on a runtime, after its masks of normalised images (B,3,h,w) were compared with torch's.

    Args:
        fixed: whether a model that cannot be exported for all sizes is exported for each size.

    Raises:
        ValueError: the model cannot be exported, the runtime cannot compute it, or its masks differ.
    """
    reasons: list[str] = []
    for free in (True, False)[: 1 + fixed]:
        try:
            found = SESSIONS[runtime](Graphs(model, free), precision)
            # A graph for all sizes may compute, or fail, as if each image were of the exported size.
            height, width = batches[0].shape[2:]
            smaller = [batches[0][..., : 1 + 2 * height // 3, : 1 + 3 * width // 4]] * free
            reason = difference(found, precision, [*batches, *smaller], forward)
        except Exception as error:  # each runtime has its own exceptions
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        if not reason:
            return found
        reasons.append(reason)
    raise ValueError(f"{model.label} cannot be computed by {runtime} ({reasons[-1]}); use runtime='torch'")


def difference(found: Session, precision: str, batches: Sequence[Tensor], forward: Forward) -> str:
    """How the masks of a session differ from torch's in float32; "" where they agree."""
    differing, allowed, pixels = 0, 0.0, 0
    for batch in batches:
        size = batch.shape[2], batch.shape[3]
        scores, expected = found(batch), forward(batch, "float32")
        if scores.shape != expected.shape or not scores.isfinite().all():
            return f"scores {tuple(scores.shape)} instead of {tuple(expected.shape)}, or not finite"
        mask = to_mask(expected, size=size)
        differing, pixels = differing + int((to_mask(scores, size=size) != mask).sum()), pixels + mask.numel()
        if precision != "float32":
            allowed += 2 * int((to_mask(forward(batch, precision), size=size) != mask).sum())
    return f"{differing} of {pixels} pixels differ" if differing > max(DIFFER * pixels, allowed) else ""


def fastest(
    model: SegModel, precision: str, batches: Sequence[Tensor], forward: Forward, images: int
) -> Session | None:
    """The session that "auto" uses for so many images; None for torch.

    A remembered choice is used for any number of images. Otherwise runtimes are compared where torch would need more
    than `WORTH` seconds. What a runtime cannot compute is stated once, in a warning.
    """
    names = [name for name in SESSIONS if not missing(name)]
    path = _choice_file(model, precision)
    with suppress(OSError, ValueError, KeyError):
        chosen = json.loads(path.read_text(encoding="utf-8"))["runtime"]
        return None if chosen == TORCH else _session_or_warning(chosen, model, precision, batches, forward)
    if not names or images < FEW or images * _seconds(forward, batches[0], precision) < WORTH:
        return None
    bar = tqdm(names, desc=f"{model.label}: comparing runtimes", delay=2, leave=False)
    found = [_session_or_warning(name, model, precision, batches, forward) for name in bar]
    runs: list[Callable[[Tensor], object]] = [partial(forward, precision=precision), *filter(None, found)]
    rounds = [[_seconds(run, batches[0]) for run in runs] for _ in range(ROUNDS)]  # they take turns
    medians = [median(seconds[1:]) for seconds in zip(*rounds, strict=True)]
    best = runs[medians.index(min(medians))]
    chosen = best if isinstance(best, Session) else None
    with suppress(OSError):  # a cache that cannot be written
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as unfinished:
            unfinished.write_text(json.dumps({"runtime": chosen.name if chosen else TORCH}))
    return chosen


def _session_or_warning(
    name: str, model: SegModel, precision: str, batches: Sequence[Tensor], forward: Forward
) -> Session | None:
    """`session`, for all sizes only; a warning where there is none."""
    try:
        return session(name, model, precision, batches, forward, fixed=False)
    except ValueError as error:
        warn(str(error).replace("use runtime='torch'", "another runtime is used"), stacklevel=2)
        return None


def _choice_file(model: SegModel, precision: str) -> Path:
    state = [key_of(model), precision, torch.get_num_threads(), cpu_name(), *map(titled, SESSIONS)]
    return cache_dir() / "runtimes" / f"{hashlib.sha256(json.dumps(state).encode()).hexdigest()[:32]}.json"


def _seconds(run: Callable[..., object], *arguments: object) -> float:
    start = perf_counter()
    run(*arguments)
    return perf_counter() - start
