"""Judging: models × data set → the store of counts.

    results = evaluate(["unet_mini:toytown", model], load_dataset("toytown", "test"), "results.sqlite")

Interrupted at any moment, the same call goes on where it was. Several processes (`torchrun … -m seglab evaluate …`)
share the images among them; they do not talk to each other, and the counts are those of a single one.

On the CPU every image has a thread of its own, from its file to its counts: threads that shared a network's layers
would wait for each other after each of them. So the counts do not depend on how many threads a machine has.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any, TypeVar

import torch
from tqdm.auto import tqdm

from seglab._utils.environment import memory
from seglab._utils.errors import differences, unknown
from seglab._utils.hashing import code_version
from seglab.data.catalogue import DATASETS
from seglab.data.dataset import Sample, SegmentationDataset
from seglab.evaluation.evaluators import Evaluator, LabelMapEvaluator, ModelEvaluator, Options, Predictions, Row
from seglab.evaluation.results import Results
from seglab.evaluation.store import Store
from seglab.models.adapters import SegModel
from seglab.models.loading import load_model

SIZES = ("original", "model")
PATIENCE = 120.0  # seconds without a new image of another process, after which nobody waits for it any more
Evaluable = str | Path | SegModel | Predictions
ImageCounts = tuple[tuple[str, str, int | None], Row]  # an image's id, its group and the time it took; its counts
Item = TypeVar("Item")
Made = TypeVar("Made")


def evaluate(
    models: Evaluable | Sequence[Evaluable | tuple[str, Evaluable]] | Mapping[str, Evaluable],
    dataset: SegmentationDataset,
    store: str | Path | None = None,
    *,
    size: str = "original",
    precision: str = "float32",
    batch: int = 1,
    boundary: bool = False,
    calibration: bool = False,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> Results:
    """Run models on a data set, and keep how many pixels of each class were called what, image by image.

    A module of your own may keep something in itself while it computes, each thread has a copy of it; if it keeps it
    elsewhere, or draws random numbers, let one thread do all: `torch.set_num_threads(1)`.

    Args:
        models: names for `load_model`, models, `Predictions`; as a mapping or as pairs, with the name that tables
            are to give them (several seeds of one recipe share one).
        store: SQLite file; what it holds already is not done again. None keeps nothing.
        size: what is scored: "original", masks at the size of the target; or "model", targets brought to the size
            of the network's input, as torchvision's published values are.
        precision: "float32" or "bfloat16", see `inference.FastModel`.
        batch: images of one size that go through the network at once. On a CPU this only makes for fewer threads that
            have something to do.
        boundary: count what boundary IoU needs, too.
        calibration: count confidences, too; not for a model with other classes than the data, and not for
            Mask2Former, whose scores are no logits.
        device: where models that are given by name run; by default a GPU where there is one.

    Returns:
        The results on this data set of everything that the store holds. Of several processes the first one returns
        when all have finished.

    Raises:
        ValueError: the store holds other measurements under these names; an image that cannot be read; labels outside
            a class set; predictions that are missing or of another size. What was finished before stays in the store.
    """
    if not isinstance(dataset, SegmentationDataset):
        raise ValueError(f"expected a data set, as load_dataset('toytown', 'test'), found {dataset!r}")
    if size not in SIZES:
        raise unknown("size to score at", size, SIZES)
    if batch < 1:
        raise ValueError(f"batch={batch}; expected at least 1 image")
    rank, world = _process()
    if world > 1 and store is None:
        raise ValueError("several processes need a store beside which each of them can write; say where")
    options = Options(size, precision, boundary, calibration)
    judges = _judges(models, dataset, options, device)  # all of them first: what is wrong is said at once
    data = f"{dataset.name} {dataset.split}" if dataset.split else dataset.name
    common = _identity(data, dataset, options, batch, progress and rank == 0)
    # Whole batches are dealt, and repeated after an interruption: some models' last bits depend on them.
    batches = [range(i, min(i + batch, len(dataset))) for i in range(0, len(dataset), batch)][rank::world]
    with TemporaryDirectory() as temporary:
        path = Path(temporary) / "results.sqlite" if store is None else Path(store)
        with Store(path, rank, world) as writing:
            keys = [(judge.name, judge.seed, data) for judge in judges]
            while judges:
                judge = judges.pop(0)  # and its copy of the model is forgotten in the end
                run = writing.run(judge.name, judge.seed, data, common | judge.identity, judge.facts)
                done = writing.done(judge.name, judge.seed, data)
                todo = [indices for indices in batches if not done.issuperset(indices)]
                total, left = sum(map(len, batches)), sum(map(len, todo))
                bar = tqdm(total=total, initial=total - left, desc=judge.name, unit="image",
                           disable=not progress or rank > 0)  # fmt: skip
                with bar:
                    for indices, judgements in zip(todo, _judged(judge, dataset, todo), strict=True):
                        for i, (named, row) in zip(indices, judgements, strict=True):
                            if i not in done:
                                writing.add(run, i, named, row.counts, row.bins)
                            bar.update()
            if rank == 0 and world > 1:
                _wait(writing, keys, len(dataset))
        return Results.open(path, data)


def _process() -> tuple[int, int]:
    """Which of how many processes this is."""
    world = int(os.environ.get("WORLD_SIZE", 1))
    return (int(os.environ["RANK"]), world) if world > 1 else (0, 1)


def _judged(judge: Evaluator, dataset: SegmentationDataset, batches: Sequence[range]) -> Iterator[list[ImageCounts]]:
    """What is to be stored of each batch: several of them side by side on the CPU, one after the other elsewhere."""

    def read(indices: range) -> list[Sample]:
        return [dataset[i] for i in indices]

    def judged(samples: list[Sample]) -> list[ImageCounts]:
        try:
            rows = judge(samples)
        except ValueError as error:
            raise ValueError(f"{judge.name} on {', '.join(sample.id for sample in samples)}: {error}") from error
        return [((s.id, s.group, row.microseconds), row) for s, row in zip(samples, rows, strict=True)]

    if judge.device.type == "cpu":
        images = max(map(len, batches), default=1)
        yield from _under_way(lambda indices: judged(read(indices)), batches, _side_by_side(judge.peak_bytes * images))
    else:  # while it computes, the next batch is read
        yield from map(judged, _under_way(read, batches, 1))


def _side_by_side(peak_bytes: int) -> int:
    """How many batches that take so much memory are judged at once: as many as there are threads, in half of it."""
    return max(1, min(torch.get_num_threads(), memory()[1] // 2 // max(peak_bytes, 1)))


def _under_way(work: Callable[[Item], Made], items: Sequence[Item], at_once: int) -> Iterator[Made]:
    """`work(item)` of each, in order; `at_once` of them are under way, on one thread each, and as many wait."""
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(at_once, initializer=_use_one_thread)
    coming: deque[Future[Made]] = deque()
    try:
        for item in items:
            coming.append(pool.submit(work, item))
            if len(coming) > 2 * at_once:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        try:
            pool.shutdown(cancel_futures=True)
        finally:
            torch.set_num_threads(threads)  # what one thread sets is what those begin with that come after it


def _use_one_thread() -> None:
    torch.set_num_threads(1)
    torch.get_num_threads()  # a thread's number is settled when it is first asked for, by what was set last


def _wait(store: Store, keys: Sequence[tuple[str, int | None, str]], images: int) -> None:
    """Until the other processes have finished their images, too, or are nowhere to be seen."""
    last, since = -1, monotonic()
    while (done := sum(len(store.done(*key)) for key in keys)) < images * len(keys):
        if done > last:
            last, since = done, monotonic()
        if monotonic() - since > PATIENCE:
            return
        sleep(0.2)


def _identity(data: str, dataset: SegmentationDataset, options: Options, batch: int, progress: bool) -> dict[str, Any]:
    """What decides a measurement, besides the model."""
    spec = DATASETS.get(dataset.name.partition(":")[0])
    return {
        "data": data, "fingerprint": dataset.fingerprint(progress), "order": _order(dataset), "images": len(dataset),
        "groups": len(set(dataset.groups)), "target vocabulary": dataset.classes.name,
        "target classes": list(dataset.classes.names), "background": dataset.classes.background,
        "licence of data": spec.licence if spec else "", "scored at": options.size, "tiles": "none",
        "test-time augmentation": "none", "boundary": options.boundary, "calibration": options.calibration,
        "resize": "images bilinear with antialiasing; scores bilinear from the head's grid, align_corners=False",
        "threads": 1, "batch": batch, "code": code_version(), "torch": torch.__version__,
    }  # fmt: skip


def _order(dataset: SegmentationDataset) -> str:
    """Hash of the images' ids and groups in their order: the store knows an image by its place."""
    listing = "".join(f"{name}\n{group}\n" for name, group in zip(dataset.ids, dataset.groups, strict=True))
    return hashlib.sha256(listing.encode()).hexdigest()


def _named(
    models: Evaluable | Sequence[Evaluable | tuple[str, Evaluable]] | Mapping[str, Evaluable],
) -> list[tuple[str, Evaluable]]:
    if isinstance(models, Mapping):
        several = list(models.items())
    elif isinstance(models, Evaluable) or not isinstance(models, Iterable):
        several = [("", models)]
    else:
        several = [judged if isinstance(judged, tuple) else ("", judged) for judged in models]
    if not several:
        raise ValueError("nothing to evaluate; name at least one model")
    for _, judged in several:
        if not isinstance(judged, Evaluable):
            raise ValueError(
                f"cannot evaluate {type(judged).__name__}; expected the name of a model, a model of load_model,"
                " Predictions, or a module of your own as wrap(module, classes)"
            )
    return several


def _judges(
    models: Evaluable | Sequence[Evaluable | tuple[str, Evaluable]] | Mapping[str, Evaluable],
    dataset: SegmentationDataset,
    options: Options,
    device: str | torch.device | None,
) -> list[Evaluator]:
    """One for each that is to be judged; the same one only once.

    Raises:
        ValueError: two that differ have one name.
    """
    judges: dict[tuple[str, int | None], Evaluator] = {}
    for name, judged in _named(models):
        judge = _judge(name, judged, dataset, options, device)
        other = judges.setdefault((judge.name, judge.seed), judge)
        if said := differences(other.identity, judge.identity):
            raise ValueError(f"two models are called {judge.name!r} ({said}); give them names: {{'a': …, 'b': …}}")
    return list(judges.values())


def _judge(
    name: str, judged: Evaluable, dataset: SegmentationDataset, options: Options, device: str | torch.device | None
) -> Evaluator:
    if isinstance(judged, Predictions):
        return LabelMapEvaluator(name, judged, dataset.ids, options, dataset.classes)
    model = judged if isinstance(judged, SegModel) else load_model(judged, device=device)
    target = dataset[0].target
    return ModelEvaluator(name, model, (target.shape[0], target.shape[1]), options, dataset.classes)
