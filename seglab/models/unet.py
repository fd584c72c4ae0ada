"""U-Net (Ronneberger, Fischer & Brox 2015), from top to bottom.

    image ─ block ───────────────────────────── concat ─ block ─ 1×1 ─ logits     full size,  1× width
              └ pool ─ block ───────── concat ─ block ┘                           half,       2×
                         └ pool ─ … ──┘                                           …
                                └ pool ─ block ┘                                  sixteenth, 16×

The encoder halves the feature maps and doubles their channels, and so gathers *what* is in the image. The decoder
upsamples them again. Its skip connections bring the encoder's feature maps of the same size, which hold *where* it is.
Two departures from the paper, both usual today: padded convolutions, so that the output is as large as the input, and
BatchNorm.
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
    """One decoder step: halve the channels, upsample, concatenate with the skip connection, convolve."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # A 1×1 convolution and bilinear upsampling commute; in this order the convolution costs a quarter.
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
        depth: number of poolings; 4 in the paper.
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
        """The encoder's feature maps, the smallest first: (B,16·width,H/16,W/16), …, (B,width,H,W)."""
        features = [self.encoder[0](images)]
        for stage in self.encoder[1:]:
            features.insert(0, stage(F.max_pool2d(features[0], 2)))
        return features
