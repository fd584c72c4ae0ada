"""Counting, colouring and upsampling at 1080×1920 with 21 classes, against what people would otherwise use.

    python benchmarks/masks_and_metrics.py

The label maps are CamVid's if `SEGLAB_DATA` has them, else Toytown's. Scores are upsampled three times: blurred from
label maps, with channels first; and with channels last those of trained minis, and noise, where every cell is mixed.
"""

import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from common import header, milliseconds, peak_megabytes, ratios, show
from PIL import Image
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix
from torchmetrics.functional.classification import multiclass_confusion_matrix
from torchvision.utils import draw_segmentation_masks

from seglab import CLASS_SETS, load_dataset, load_model
from seglab.data.toytown import scene as toytown
from seglab.inference.fast import FastModel
from seglab.masks.argmax import to_mask
from seglab.masks.painting import overlay
from seglab.metrics.confusion import confusion_matrix

warnings.filterwarnings("ignore")
SIZE, K = (1080, 1920), 21
VOC = CLASS_SETS["voc"]


def label_maps(count: int) -> tuple[str, list[torch.Tensor]]:
    """Real street label maps, uint8 (H, W)."""
    try:
        ds = load_dataset("camvid", "val", download=False)
    except ValueError:
        ds = load_dataset("toytown", "test", size=(360, 480))
    return ds.name, [ds[i * 9].target for i in range(count)]


def blurred_scores(target: torch.Tensor, grid: tuple[int, int], sigma: float = 1.5) -> torch.Tensor:
    """Log shares of a blurred label map: smooth like the scores of a trained model. float32 (1, K, h, w)."""
    one_hot = F.one_hot(target.long().clamp(max=K - 1), K).permute(2, 0, 1)[None].float()
    shares = F.interpolate(one_hot, grid, mode="area").transpose(0, 1)
    reach = torch.arange(-6, 7) / sigma
    kernel = torch.exp(-(reach**2) / 2)
    kernel = kernel / kernel.sum()
    shares = F.conv2d(shares, kernel.view(1, 1, 1, -1), padding=(0, 6))
    shares = F.conv2d(shares, kernel.view(1, 1, -1, 1), padding=(6, 0)).transpose(0, 1)
    return (shares + 1e-3).log().contiguous()


def counting(target: torch.Tensor) -> None:
    target = F.interpolate(target[None, None].float(), SIZE, mode="nearest")[0, 0].to(torch.uint8)
    pred = torch.where(torch.rand(SIZE) < 0.1, torch.randint(0, K, SIZE, dtype=torch.uint8), target.clamp(max=K - 1))
    t, p = target.long(), pred.long()

    def reference() -> torch.Tensor:
        """The usual formula of training scripts: select, n · target + pred, bincount."""
        counted = (t >= 0) & (t < K)
        return torch.bincount(K * t[counted] + p[counted], minlength=K * K).reshape(K, K)

    candidates = {
        "seglab": lambda: confusion_matrix(pred, target, K),
        "usual formula (int64)": reference,
        "torchmetrics": lambda: multiclass_confusion_matrix(p, t, K, ignore_index=255),
        "torchmetrics, no validation": lambda: multiclass_confusion_matrix(
            p, t, K, ignore_index=255, validate_args=False
        ),
        "scikit-learn": lambda: sklearn_confusion_matrix(t[t < K].numpy(), p[t < K].numpy(), labels=range(K)),
    }
    answers = [torch.as_tensor(np.asarray(run())) for run in candidates.values()]
    assert all(torch.equal(answers[0], a) for a in answers), "the candidates disagree"
    show("Confusion counts, 1080×1920", ratios(milliseconds(candidates), "seglab"))


def colouring(target: torch.Tensor) -> None:
    mask = F.interpolate(target[None, None].float(), SIZE, mode="nearest")[0, 0].to(torch.uint8).clamp(max=K - 1)
    chw = torch.randint(0, 256, (3, *SIZE), dtype=torch.uint8)
    hwc, mask_np = chw.permute(1, 2, 0).contiguous().numpy(), mask.numpy()
    photo = Image.fromarray(hwc)
    colors = list(VOC.colors)

    def theirs() -> torch.Tensor:
        return draw_segmentation_masks(chw, torch.stack([mask == k for k in range(K)]), alpha=0.6, colors=colors)

    def theirs_hwc() -> np.ndarray:
        masks = torch.stack([torch.from_numpy(mask_np) == k for k in range(K)])
        drawn = draw_segmentation_masks(torch.from_numpy(hwc).permute(2, 0, 1), masks, alpha=0.6, colors=colors)
        return np.ascontiguousarray(drawn.permute(1, 2, 0).numpy())

    rows = {
        "Pillow": (lambda: overlay(photo, mask_np, VOC), theirs_hwc),
        "NumPy (H, W, 3)": (lambda: overlay(hwc, mask_np, VOC), theirs_hwc),
        "torch (3, H, W)": (lambda: overlay(chw, mask, VOC), theirs),
    }
    table = {}
    for name, (ours, other) in rows.items():
        difference = np.asarray(ours()).astype(int) - np.asarray(other()).astype(int)
        assert np.abs(difference).max() <= 1, "the candidates disagree by more than rounding"
        ms = milliseconds({"seglab ms": ours, "draw_segmentation_masks ms": other})
        table[name] = ms | {"speed-up": ms["draw_segmentation_masks ms"] / ms["seglab ms"]}
    show("Overlay of 21 classes, 1080×1920, the same kind of image in and out", pd.DataFrame(table).T)


def upsampling(targets: list[torch.Tensor]) -> None:
    rows = []
    for grid in ((45, 60), (90, 120)):
        scores = [blurred_scores(t, grid) for t in targets]
        for size in ((360, 480), (1080, 1920), (3000, 4000)):

            def plain(s: torch.Tensor, size: tuple[int, int] = size) -> torch.Tensor:
                return F.interpolate(s, size, mode="bilinear", align_corners=False).argmax(1)

            different = sum(int((to_mask(s, size=size) != plain(s)).sum()) for s in scores)
            candidates = {
                "seglab": lambda s=scores[0], size=size: to_mask(s, size=size),
                "plain": lambda s=scores[0], run=plain: run(s),
            }
            ms = milliseconds(candidates, rounds=5)
            ours, theirs = peak_megabytes(candidates["seglab"]), peak_megabytes(candidates["plain"])
            rows.append([grid, size, ms["plain"], ms["seglab"], ms["plain"] / ms["seglab"], theirs, ours,
                         theirs / ours, different])  # fmt: skip
    columns = [
        "scores",
        "mask",
        "plain ms",
        "seglab ms",
        "speed-up",
        "plain MB",
        "seglab MB",
        "memory ratio",
        "pixels that differ",
    ]
    table = pd.DataFrame(rows, columns=columns)
    show("Blurred scores → mask at original size, against interpolate then argmax", table)


def real_scores() -> Iterator[tuple[str, torch.Tensor]]:
    """Scores (1, K, h, w) of trained minis for an image of the data that they know, and noise."""
    for name in ("unet_mini:toytown", "lraspp_mini:toytown", "deeplabv3_mini:camvid"):
        data = name.partition(":")[2]
        with suppress(ValueError):  # the data are not there
            image = load_dataset(data, "test" if data == "toytown" else "val", download=False)[5].image
            yield name, FastModel(load_model(name, device="cpu"))(image[None])
    for grid in ((45, 60), (90, 120)):
        yield "noise", torch.randn(1, K, *grid)


def upsampling_real() -> None:
    """As models return their scores, with channels last; on one thread."""
    rows, before = [], torch.get_num_threads()
    torch.set_num_threads(1)
    for name, given in real_scores():
        scores = given.contiguous(memory_format=torch.channels_last)
        for size in (SIZE, (3000, 4000)):

            def plain(s: torch.Tensor, size: tuple[int, int] = size) -> torch.Tensor:
                return F.interpolate(s, size, mode="bilinear", align_corners=False).argmax(1)

            expected = plain(scores.contiguous())
            differ = [int((mask != expected).sum()) for mask in (to_mask(scores, size=size), plain(scores))]
            candidates = {"plain": partial(plain, scores), "seglab": partial(to_mask, scores, size=size)}
            ms = milliseconds(candidates, rounds=3)
            rows.append([name, tuple(scores.shape[1:]), size, *ms.values(), ms["plain"] / ms["seglab"], *differ])
    torch.set_num_threads(before)
    columns = ["scores", "(K, h, w)", "mask", "plain ms", "seglab ms", "speed-up", "pixels that differ",
               "torch's own layouts differ"]  # fmt: skip
    show("Scores of trained minis → mask, against interpolate then argmax", pd.DataFrame(rows, columns=columns))


def drawing() -> None:
    times = milliseconds(
        {f"scene {seed}": lambda seed=seed: toytown.scene(seed) for seed in range(30_000, 30_040)}, rounds=5
    )
    mean = sum(times.values()) / len(times)
    print(f"\nToytown at 192×256 on one core: {mean:.1f} ms a scene, {1000 / mean:.0f} scenes a second")


if __name__ == "__main__":
    torch.manual_seed(0)
    header()
    name, targets = label_maps(3)
    print(f"label maps: {name}")
    counting(targets[0])
    colouring(targets[0])
    upsampling(targets)
    upsampling_real()
    drawing()
