"""Batches to train on: which images, in which order, with which random numbers.

The order follows from the seed and the epoch; the augmentation of an image from the seed, the epoch and the image. So
neither an interruption nor the number of processes that load images or train changes the images of a step.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from seglab.data.dataset import SegmentationDataset
from seglab.data.transforms import Joint

CACHE_BYTES = 4_000_000_000  # data sets with fewer bytes of images and targets stay in memory


def seed_of(*numbers: int) -> int:
    """One seed from several numbers ≥ 0, the same on every machine."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


class Pairs(Dataset[tuple[Tensor, Tensor]]):
    """Transformed pairs: image uint8 (3,h,w) and target uint8 (h,w). With `keep`, what is read stays in memory.

    The random numbers of a pair follow from `seed` and its index; the global generator is not advanced.
    """

    def __init__(self, dataset: SegmentationDataset, transform: Joint, keep: bool = False) -> None:
        self.dataset, self.transform, self.keep, self.seed = dataset, transform, keep, 0
        self.cache: dict[int, tuple[Tensor, Tensor]] = {}
        self.counts: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, target = self.read(index)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed_of(self.seed, index))  # torch.manual_seed would seed GPUs, too
            return self.transform(image, target)

    def read(self, index: int) -> tuple[Tensor, Tensor]:
        """The pair before the transform."""
        index %= len(self.dataset)  # of several crops of one image
        if index in self.cache:
            return self.cache[index]
        sample = self.dataset[index]
        if self.keep:
            self.cache[index] = sample.image, sample.target
        return sample.image, sample.target

    def count_pixels(self, progress: bool) -> NDArray[np.int64]:
        """Pixels of each class in each image, int64 (N,K), without void; counted once."""
        if self.counts is None:
            indices = tqdm(range(len(self)), desc="counting classes", unit="image", disable=not progress)
            counts = [np.bincount(self.read(i)[1].numpy().ravel(), minlength=256) for i in indices]
            self.counts = np.stack(counts)[:, : len(self.dataset.classes)]
        return self.counts


class Batches:
    """The batches of each epoch: `batch` crops per step in each of `world` processes, of which `rank` is this one.

    An epoch has `repeats` crops of each image.
    `workers` processes load images; with 0 this process loads them, and keeps up to 4 GB in memory.
    """

    def __init__(
        self, dataset: SegmentationDataset, transform: Joint, batch: int, seed: int = 0, rank: int = 0, world: int = 1,
        workers: int = 0, repeats: int = 1,
    ) -> None:  # fmt: skip
        self.batch, self.seed, self.rank, self.world, self.workers = batch, seed, rank, world, workers
        num_bytes = 4 * dataset[0].target.numel() * len(dataset)
        self.pairs = Pairs(dataset, transform, keep=workers == 0 and num_bytes < CACHE_BYTES)
        self.crops = repeats * len(dataset)
        self.chances: NDArray[np.float64] | None = None

    def balance(self, power: float, progress: bool = False) -> None:
        """From now on draw images with rare classes more often, see `chances`; power 0 draws each once an epoch."""
        self.chances = chances(self.pairs.count_pixels(progress), power) if power else None

    def __len__(self) -> int:
        """Steps per epoch; crops that do not fill a batch in every process are left out of the epoch."""
        return self.crops // (self.batch * self.world)

    def of(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Images uint8 (B,3,h,w) and targets uint8 (B,h,w); seeds the global generator, for dropout."""
        torch.manual_seed(seed_of(self.seed, epoch, self.rank))
        self.pairs.seed = seed_of(self.seed, epoch)
        rng = torch.Generator().manual_seed(self.pairs.seed)
        order, count = torch.randperm(self.crops, generator=rng), len(self) * self.world * self.batch
        if self.chances is None:
            order = order[:count]
        else:
            order = _drawn(order, torch.from_numpy(self.chances).repeat(self.crops // len(self.pairs)), count, rng)
        mine = order.view(len(self), self.world, self.batch)[:, self.rank].tolist()
        yield from DataLoader(self.pairs, batch_sampler=mine, num_workers=self.workers, generator=rng)


def chances(counts: NDArray[np.int64], power: float) -> NDArray[np.float64]:
    """How often each image is drawn, relative to the others: (1 / fraction of images with its rarest class)^power.

    Power 0.5 is close to the repetition of images by Gupta, Dollár & Girshick (2019, LVIS). An image without a label is
    drawn as often as one whose classes are in every image.

    Args:
        counts: (N,K), pixels of each class in each image.

    Returns:
        float64 (N,), each at least 1.
    """
    present = counts > 0
    return np.where(present, present.mean(axis=0), 1.0).min(axis=1) ** -power


def _drawn(order: Tensor, chances: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """`count` indices, each as often as its chance says, rounded up or down at random, in random order.

    This is systematic sampling: an image with the mean chance is drawn once, and not three times or never.
    """
    ends = chances[order].cumsum(0)
    marks = (torch.arange(count) + torch.rand((), generator=rng).double()) / count * ends[-1]
    drawn = order[torch.searchsorted(ends, marks, right=True).clamp(max=len(order) - 1)]
    return drawn[torch.randperm(count, generator=rng)]
