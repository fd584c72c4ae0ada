"""U-Net (Ronneberger, Fischer & Brox 2015), from top to bottom.

    image ─ block ───────────────────────────── concat ─ block ─ 1×1 ─ logits     full size,  1× width
              └ pool ─ block ───────── concat ─ block ┘                           half,       2×
                         └ pool ─ … ──┘                                           …
                                └ pool ─ block ┘                                  sixteenth, 16×

On the way down the maps halve and the channels double: *what* is there. On the way up each map meets its equal from
the way down: *where* it is. Two departures from the paper, both usual today: padded convolutions, so that the output
is as large as the input, and BatchNorm.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def block(in_channels: int, out_channels: int) -> nn.Sequential:
    """Two 3×3 convolutions, each with BatchNorm and ReLU: (B,in,H,W) → (B,out,H,W)."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class Up(nn.Module):
    """One step up: halve the channels, grow to the size of the skip connection, concatenate, convolve."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # Before growing, not after: on constant weights the order makes no difference, and here it costs a quarter.
        self.halve = nn.Conv2d(channels, channels // 2, 1)
        self.block = block(channels, channels // 2)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B,C,h,w) and the skip connection (B,C/2,H,W) → (B,C/2,H,W)."""
        x = F.interpolate(self.halve(x), size=skip.shape[-2:], mode="bilinear", align_corners=False)
        return self.block(torch.cat([skip, x], dim=1))


class UNet(nn.Module):
    """U-Net: images (B,3,H,W) of any size from 16×16 → logits (B,K,H,W).

    Args:
        num_classes: K.
        width: channels of the first block; 64 in the paper (29 M parameters), 16 for a small one (1.8 M).
        depth: how often the maps halve; 4 in the paper.
    """

    def __init__(self, num_classes: int, width: int = 64, depth: int = 4) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(depth + 1)]  # 64, 128, 256, 512, 1024
        self.encoder = nn.ModuleList(block(i, o) for i, o in zip([3, *channels], channels, strict=False))
        self.decoder = nn.ModuleList(Up(c) for c in reversed(channels[1:]))
        self.classifier = nn.Conv2d(width, num_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        x, *skips = self.encode(images)
        for up, skip in zip(self.decoder, skips, strict=True):
            x = up(x, skip)
        return self.classifier(x)

    def encode(self, images: Tensor) -> list[Tensor]:
        """The maps on the way down, the smallest first: (B,16·width,H/16,W/16), …, (B,width,H,W)."""
        maps = [self.encoder[0](images)]
        for down in self.encoder[1:]:
            maps.insert(0, down(F.max_pool2d(maps[0], 2)))
        return maps
