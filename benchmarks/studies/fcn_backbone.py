"""Skip connections or dilation, where the backbone is trained, too: the study behind notebook 05.

    python benchmarks/studies/fcn_backbone.py      about twenty minutes on one core; goes on where it was interrupted

Notebook 05 trains score layers on a frozen backbone, which was trained in dilated form. Here backbone and score layers
of FCN-8s (Long et al. 2015) and of torchvision's dilated version are trained together: 250 steps of 16 of the same
sixty streets of Toytown `train`, from the same trained backbone, with the same loss, rates and, for one seed, the same
images in the same order. All strides of the backbone and the score layers differ, and nothing else.

- `data/results/fcn_backbone.csv`: a row for each version and seed: mIoU and IoU of each class on 100 streets of `test`.
"""

from copy import deepcopy
from pathlib import Path

import pandas as pd
import torch
from small_data import count
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from seglab import CLASS_SETS, load_dataset, load_model
from seglab.course.studies import results_dir
from seglab.data.transforms import normalize
from seglab.metrics.measures import iou_per_class, mean_iou
from seglab.models.adapters import wrap

STREET = CLASS_SETS["street"]
K, TRAINING, EVALUATED, STEPS, SEEDS = len(STREET), 60, 100, 250, 3
LR, BACKBONE_LR = 1e-2, 1e-3
KEYS = ["version", "seed"]


class Dilated(nn.Module):
    """One score layer on the last features, at stride 8."""

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.backbone, self.score8 = backbone, nn.Conv2d(256, K, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.score8(self.backbone(images)["out"])


class FCN8s(nn.Module):
    """Score layers at strides 32, 16 and 8; the lower-resolution scores are upsampled and added."""

    def __init__(self, backbone: nn.Module):
        super().__init__()
        for layer in (backbone.layer3, backbone.layer4):
            for block in layer:
                block.conv2.dilation = block.conv2.padding = (1, 1)
            layer[0].conv2.stride = (2, 2)
            layer[0].downsample = nn.Sequential(nn.MaxPool2d(1, stride=2), layer[0].downsample or nn.Identity())
        backbone.return_layers = {"layer2": "8", "layer3": "16", "layer4": "32"}
        self.backbone = backbone
        self.score8, self.score16, self.score32 = (nn.Conv2d(c, K, 1) for c in (128, 256, 256))
        for later in (self.score8, self.score16):  # as in the paper: at first the skip connections change nothing
            nn.init.zeros_(later.weight)
            nn.init.zeros_(later.bias)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.backbone(images)
        scores = self.score32(maps["32"])
        for stride, layer in (("16", self.score16), ("8", self.score8)):
            scores = F.interpolate(scores, maps[stride].shape[-2:], mode="bilinear") + layer(maps[stride])
        return scores


VERSIONS = {"FCN-8s": FCN8s, "dilated": Dilated}


def trained(version: str, seed: int, steps: int = STEPS) -> nn.Module:
    """The network after the training; its scores have stride 8."""
    samples = list(load_dataset("toytown", "train").subset(range(TRAINING)))
    images = normalize(torch.stack([s.image for s in samples]))
    labels = torch.stack([s.target for s in samples])[:, 4::8, 4::8].long()  # to save time: one pixel of each cell
    backbone = deepcopy(load_model("fcn_mini:toytown", device="cpu").net.backbone)
    torch.manual_seed(seed)
    net = VERSIONS[version](backbone).train()
    layers = [p for name, p in net.named_parameters() if not name.startswith("backbone")]
    groups = [{"params": layers}, {"params": net.backbone.parameters(), "lr": BACKBONE_LR}]
    optimizer, order = torch.optim.AdamW(groups, lr=LR), torch.Generator().manual_seed(seed)
    for _ in range(steps):
        pick = torch.randint(TRAINING, (16,), generator=order)
        optimizer.zero_grad()
        F.cross_entropy(net(images[pick]), labels[pick], ignore_index=255).backward()
        optimizer.step()
    return net.eval()


def row_of(version: str, seed: int) -> pd.DataFrame:
    model = wrap(trained(version, seed), STREET, "fcn")
    counts = count(model, load_dataset("toytown", "test").subset(range(EVALUATED)))
    measures = {"version": version, "seed": seed, "steps": STEPS, "miou": float(mean_iou(counts))}
    return pd.DataFrame([measures | dict(zip(STREET.names, iou_per_class(counts).tolist(), strict=True))])


def main(path: Path | None = None) -> None:
    torch.set_num_threads(1)  # the last bits depend on it
    path = path or results_dir() / "fcn_backbone.csv"
    there = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=KEYS)
    done = set(there[KEYS].itertuples(index=False, name=None))
    missing = [(version, seed) for seed in range(SEEDS) for version in VERSIONS if (version, seed) not in done]
    for run in tqdm(missing, desc="skip connections or dilation", unit="training"):
        there = pd.concat([there, row_of(*run)])
        there.to_csv(path, index=False, float_format="%.5f", lineterminator="\n")
    print(there.groupby("version")["miou"].agg(["mean", "min", "max"]).round(3).to_string())


if __name__ == "__main__":
    main()
