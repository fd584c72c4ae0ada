"""`evaluate`: models × data set → the store of counts.

    results = evaluate(["unet_mini:toytown", model], load_dataset("toytown", "test"), "results.sqlite")

After an interruption the same call continues with the images that are left. Several processes
(`torchrun … -m seglab evaluate …`) split the images without communicating; their counts are those of one process.
On the CPU each thread computes one image, from its file to its counts. Threads that shared the layers of one network
would wait for each other after each layer, and the counts would depend on their number.
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
from warnings import warn

import torch
from tqdm.auto import tqdm

from seglab._utils.download import human
from seglab._utils.environment import memory
from seglab._utils.errors import differences, unknown
from seglab._utils.hashing import FileHashes, code_version
from seglab._utils.text import printable
from seglab.data.catalogue import DATASETS
from seglab.data.classes import CLASS_SETS
from seglab.data.dataset import Sample, SegmentationDataset
from seglab.data.translation import relevant, translate
from seglab.evaluation.evaluators import Evaluator, ImageCounts, LabelMapEvaluator, ModelEvaluator, Options, Predictions
from seglab.evaluation.results import Results
from seglab.evaluation.store import Store
from seglab.inference.runtimes.choice import AUTO, TORCH
from seglab.inference.tiles import tiles
from seglab.models.adapters import SegModel
from seglab.models.loading import load_model

SIZES = ("original", "model")
PATIENCE = 120.0  # seconds to wait for other processes without a new image from any of them
Evaluable = str | Path | SegModel | Predictions
Models = Evaluable | Sequence[Evaluable | tuple[str, Evaluable]] | Mapping[str, Evaluable]
Item = TypeVar("Item")
Output = TypeVar("Output")


def evaluate(
    models: Models,
    dataset: SegmentationDataset,
    store: str | Path | None = None,
    *,
    size: str = "original",
    precision: str = "float32",
    batch: int = 1,
    boundary: bool = False,
    calibration: bool = False,
    tile: tuple[int, int] | None = None,
    overlap: int | None = None,
    mapping: Mapping[str, str | None] | None = None,
    device: str | torch.device | None = None,
    runtime: str | Mapping[tuple[str, int | None], str] = TORCH,
    progress: bool = True,
) -> Results:
    """Run models on a data set and count, for each image, the pixels of each pair of target and predicted class.

    Args:
        models: names for `load_model`, models, `Predictions`; as a mapping or as pairs with the name in tables, which
            trainings of one recipe share. Each thread has its own copy of a model; call `torch.set_num_threads(1)` for
            a module that draws random numbers or keeps data outside of itself.
        store: SQLite file; images that it holds are not computed again. None keeps nothing.
        size: "original" scores masks at the size of the target; "model" resizes targets to the size of the network's
            input, as for the values that torchvision publishes.
        precision: "float32" or "bfloat16", see `inference.fast.FastModel`.
        batch: images of one size per forward pass; on the CPU, 1 keeps most threads busy.
        boundary: also count for boundary IoU.
        calibration: also count confidences, except for models with other classes than the data and for Mask2Former,
            whose scores are not logits.
        tile, overlap: as for `predict`; they do not affect label maps.
        mapping: for models with other classes: class → class of the data, see `translate` and `Results.mapping`.
        device: for models given by name; by default a GPU where there is one.
        runtime: see `predict`; a mapping gives that of each model by its name in tables and its training seed. "auto"
            goes on with the runtime of the images in the store; several processes use torch for it.

    Returns:
        All results that the store holds on this data set. The first of several processes waits for the others.

    Raises:
        ValueError: an argument, image, label or prediction that cannot be used, data that change in the meantime, or
            another measurement of this name in the store. Images finished before stay in the store.
    """
    _check_arguments(dataset, size, batch, tile, overlap)
    world = int(os.environ.get("WORLD_SIZE", 1))
    rank = int(os.environ["RANK"]) if world > 1 else 0
    if world > 1 and store is None:
        raise ValueError("several processes need a store, beside which each writes its own file; give store=PATH")
    runtime = TORCH if runtime == AUTO and world > 1 else runtime  # each process could find another one
    options = Options(size, precision, boundary, calibration, tile and (tile[0], tile[1]), overlap, mapping, runtime)
    evaluators = _evaluators(models, dataset, options, device)  # checks all models before the first one runs
    identity = _identity(dataset, options, batch, hashes := FileHashes(), progress and rank == 0)
    # Processes split, and interruptions repeat, whole batches: the last bits of some models depend on the batch.
    batches = [range(i, min(i + batch, len(dataset))) for i in range(0, len(dataset), batch)][rank::world]
    with TemporaryDirectory() as temporary:
        path = Path(temporary) / "results.sqlite" if store is None else Path(store)
        with Store(path, rank, world) as opened:
            keys = [(evaluator.name, evaluator.seed, identity["data"]) for evaluator in evaluators]
            while evaluators:  # pop releases the memory of each model when it is done
                _run(evaluators.pop(0), dataset, batches, opened, identity, hashes, progress and rank == 0)
            if rank == 0 and world > 1:
                _wait(opened, keys, len(dataset))
        return Results.open(path, identity["data"])


def _check_arguments(
    dataset: object, size: str, batch: int, tile: tuple[int, int] | None, overlap: int | None
) -> None:  # fmt: skip
    """Raise a ValueError for arguments of `evaluate` that are not known, cannot be used or do not fit together."""
    if not isinstance(dataset, SegmentationDataset):
        raise ValueError(f"expected a data set, as load_dataset('toytown', 'test'), found {dataset!r}")
    if size not in SIZES:
        raise unknown("size to score at", size, SIZES)
    if batch < 1:
        raise ValueError(f"batch={batch}; expected at least 1 image")
    if tile is not None:
        tiles((1, 1), tile, overlap)
        if size != "original":
            raise ValueError("size='model' scores at the size of the network's input, and tiles have several; use one")
    elif overlap is not None:
        raise ValueError(f"overlap={overlap} has no meaning without tile; give both, or leave out overlap")


def _run(
    evaluator: Evaluator, dataset: SegmentationDataset, batches: Sequence[range], store: Store,
    identity: Mapping[str, Any], hashes: FileHashes, progress: bool,
) -> None:  # fmt: skip
    """Evaluate one model on the batches that are not in the store yet."""
    key = evaluator.name, evaluator.seed, identity["data"]
    if isinstance(evaluator, ModelEvaluator):
        evaluator.settle(dataset, store.identity(*key))
    mapped = {"mapping": evaluator.mapping} if evaluator.mapping else {}
    run = store.run(*key, {**identity, **evaluator.identity, **mapped}, evaluator.facts)
    done = store.done(*key)
    todo = [indices for indices in batches if not done.issuperset(indices)]
    total, left = sum(map(len, batches)), sum(map(len, todo))
    name = printable(evaluator.name)
    with tqdm(total=total, initial=total - left, desc=name, unit="image", disable=not progress) as bar:
        for indices, images in zip(todo, _image_counts(evaluator, dataset, todo, hashes), strict=True):
            for i, image in zip(indices, images, strict=True):
                if i not in done:
                    store.add(run, i, image.row, image.counts, image.bins)
                bar.update()


def _image_counts(
    evaluator: Evaluator, dataset: SegmentationDataset, batches: Sequence[range], hashes: FileHashes
) -> Iterator[list[ImageCounts]]:
    """The counts of each batch: several batches in parallel on the CPU, one after the other on a GPU."""

    def read(indices: range) -> list[Sample]:
        samples = [dataset[i] for i in indices]
        for i in indices:  # after they were read
            hashes.check(dataset.records[i].files)
        return samples

    def count(samples: list[Sample]) -> list[ImageCounts]:
        try:
            return evaluator(samples)
        except ValueError as error:
            raise ValueError(f"{evaluator.name} on {', '.join(sample.id for sample in samples)}: {error}") from error

    if evaluator.device.type == "cpu":
        needed, free = max(evaluator.peak_bytes * max(map(len, batches), default=1), 1), memory()[1]
        if needed > free:
            remedy = "evaluate in tiles, or in smaller ones, as tile=(512, 512) or --tile 512 512"
            found = f"{evaluator.name} needs about {human(needed)} of memory for one batch, and {human(free)} are free"
            warn(f"{found}; {remedy}", stacklevel=2)
        threads = max(1, min(torch.get_num_threads(), free // 2 // needed))  # in half of the free memory
        yield from _in_threads(lambda indices: count(read(indices)), batches, threads)
    else:  # the next batch is read while the GPU computes
        yield from map(count, _in_threads(read, batches, 1))


def _in_threads(work: Callable[[Item], Output], items: Sequence[Item], threads: int) -> Iterator[Output]:
    """`work(item)` of each item, in order; each thread computes one, and at most as many results again wait."""
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, initializer=_use_one_thread)
    pending: deque[Future[Output]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > 2 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        try:
            pool.shutdown(cancel_futures=True)
        finally:
            torch.set_num_threads(before)  # a new thread starts with the number that any thread has set last


def _use_one_thread() -> None:
    torch.set_num_threads(1)
    torch.get_num_threads()  # fixes this thread's number now; otherwise another thread could still change it


def _wait(store: Store, keys: Sequence[tuple[str, int | None, str]], images: int) -> None:
    """Wait until the other processes have finished their images, or have finished none for `PATIENCE` seconds."""
    last, since = -1, monotonic()
    while (done := sum(len(store.done(*key)) for key in keys)) < images * len(keys):
        if done > last:
            last, since = done, monotonic()
        if monotonic() - since > PATIENCE:
            return
        sleep(0.2)


def _identity(
    dataset: SegmentationDataset, options: Options, batch: int, hashes: FileHashes, progress: bool
) -> dict[str, Any]:
    """Everything that decides a measurement, except for the model; `hashes` keeps the hashes of the data's files."""
    spec = DATASETS.get(dataset.name.partition(":")[0])
    # The store identifies an image by its index: ids and groups in their order are part of the identity.
    listing = "".join(f"{name}\n{group}\n" for name, group in zip(dataset.ids, dataset.groups, strict=True))
    # The colours of your own classes are in no table of seglab, so that results have to state them.
    own = {"target colors": [list(color) for color in dataset.classes.colors]} if dataset.description else {}
    return own | {
        "data": dataset.title,
        "fingerprint": dataset.fingerprint(progress, hashes), "order": hashlib.sha256(listing.encode()).hexdigest(),
        "images": len(dataset), "groups": len(set(dataset.groups)), "target vocabulary": dataset.classes.name,
        "target classes": list(dataset.classes.names), "background": dataset.classes.background,
        "licence of data": spec.licence if spec else "", "scored at": options.size, "tiles": "none",
        "test-time augmentation": "none", "boundary": options.boundary, "calibration": options.calibration,
        "resize": "images bilinear with antialiasing; scores bilinear from the head's grid, align_corners=False",
        "threads": 1, "batch": batch, "code": code_version(), "torch": torch.__version__,
    }  # fmt: skip


def _evaluators(
    models: Models, dataset: SegmentationDataset, options: Options, device: str | torch.device | None
) -> list[Evaluator]:
    """One evaluator for each distinct model.

    Raises:
        ValueError: no model, an object that cannot be evaluated, or two different models of one name.
    """
    if isinstance(models, Mapping):
        named = list(models.items())
    elif isinstance(models, Evaluable) or not isinstance(models, Iterable):
        named = [("", models)]
    else:
        named = [model if isinstance(model, tuple) else ("", model) for model in models]
    if not named:
        raise ValueError("nothing to evaluate; name at least one model")
    for _, model in named:
        if not isinstance(model, Evaluable):
            raise ValueError(
                f"cannot evaluate {type(model).__name__}; expected the name of a model, a model of load_model,"
                " Predictions, or a module of your own as wrap(module, classes)"
            )
    evaluators: dict[tuple[str, int | None], Evaluator] = {}
    for name, model in named:
        evaluator: Evaluator
        if isinstance(model, Predictions):
            evaluator = LabelMapEvaluator(name, model, dataset.ids, options, dataset.classes)
        else:
            loaded = model if isinstance(model, SegModel) else load_model(model, device=device)
            height, width = dataset[0].target.shape
            _check_classes(loaded, dataset, options.mapping)
            evaluator = ModelEvaluator(name, loaded, (height, width), options, dataset.classes)
        other = evaluators.setdefault((evaluator.name, evaluator.seed), evaluator)
        if differing := differences(other.identity, evaluator.identity):
            raise ValueError(f"two models are named {evaluator.name!r} ({differing}); give names: {{'a': …, 'b': …}}")
    named_classes = {name for evaluator in evaluators.values() for name in evaluator.classes.names} | {"*"}
    if wrong := [name for name in options.mapping or () if name not in named_classes]:
        raise unknown("class in the mapping", wrong[0], sorted(named_classes))
    return list(evaluators.values())


def _check_classes(model: SegModel, dataset: SegmentationDataset, mapping: Mapping[str, str | None] | None) -> None:
    """Raise a ValueError if no class of the model is one of the data, or --classes differs from a checkpoint's own."""
    own, target = model.classes, dataset.classes
    if own.names == target.names:
        return
    common = {index for index in translate(own, target, relevant(mapping, own)).indices if index is not None} - {
        target.background
    }
    given = dataset.name == "folder" and own.name not in CLASS_SETS  # the user gave the class set of the data
    if given or not common:
        listed = (", ".join([*names[:8], *["…"] * (len(names) > 8)]) for names in (own.names, target.names))
        raise ValueError(
            f"{model.label} predicts other classes ({next(listed)}) than {dataset.name} {target.name!r} has"
            f" ({next(listed)}); give the class set of the model, or a model of these classes"
        )
