"""Batches to train on: which images, in which order, with which random numbers.

The order follows from the seed and the epoch, and what happens to an image from the seed, the epoch and the image. So
an interrupted training goes on with the same numbers, and it makes no difference by how many processes images are
loaded, nor to how many a batch is dealt.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from seglab.data.dataset import SegmentationDataset
from seglab.data.transforms import Joint

KEPT = 4_000_000_000  # bytes of images and targets that may stay in memory


def seed_of(*numbers: int) -> int:
    """One seed out of several numbers ≥ 0, the same everywhere."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


class Pairs(Dataset[tuple[Tensor, Tensor]]):
    """Image uint8 (3,h,w) and target uint8 (h,w), transformed; what was read stays in memory where that is asked for.

    Attributes:
        seed: the random numbers for an image follow from this and its index; nobody else's are used up.
    """

    def __init__(self, dataset: SegmentationDataset, transform: Joint, keep: bool = False) -> None:
        self.dataset, self.transform, self.keep = dataset, transform, keep
        self.kept: dict[int, tuple[Tensor, Tensor]] = {}
        self.seed = 0

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, target = self.read(index)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed_of(self.seed, index))  # torch.manual_seed would seed GPUs, too
            return self.transform(image, target)

    def read(self, index: int) -> tuple[Tensor, Tensor]:
        """As the data set has them."""
        if index in self.kept:
            return self.kept[index]
        sample = self.dataset[index]
        if self.keep:
            self.kept[index] = sample.image, sample.target
        return sample.image, sample.target


class Batches:
    """The batches of each epoch; every process gets its share of them.

    Args:
        batch: images a step, in each process.
        rank: which of the `world` processes this is.
        workers: processes that load images; with 0 this one does and keeps them in memory, as far as they fit.
    """

    def __init__(
        self,
        dataset: SegmentationDataset,
        transform: Joint,
        batch: int,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
    ) -> None:
        self.batch, self.seed, self.rank, self.world, self.workers = batch, seed, rank, world, workers
        num_bytes = 4 * dataset[0].target.numel() * len(dataset)
        self.pairs = Pairs(dataset, transform, keep=workers == 0 and num_bytes < KEPT)

    def __len__(self) -> int:
        """Steps an epoch; what does not fill a batch in every process waits for another epoch."""
        return len(self.pairs) // (self.batch * self.world)

    def of(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Images uint8 (B,3,h,w) and targets uint8 (B,h,w); seeds this process for what else is random in an epoch."""
        torch.manual_seed(seed_of(self.seed, epoch, self.rank))
        self.pairs.seed = seed_of(self.seed, epoch)
        rng = torch.Generator().manual_seed(self.pairs.seed)
        order = torch.randperm(len(self.pairs), generator=rng)[: len(self) * self.world * self.batch]
        mine = order.view(len(self), self.world, self.batch)[:, self.rank].tolist()
        loader: DataLoader[Any] = DataLoader(self.pairs, batch_sampler=mine, num_workers=self.workers, generator=rng)
        yield from loader
