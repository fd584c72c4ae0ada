"""Ten photographs, segmented by every bundled model for photographs: to be looked at.

    python benchmarks/studies/contact_sheet.py                     writes runs/contact_sheet.png
    python benchmarks/studies/contact_sheet.py my.safetensors      segmented by other models

The photographs are in the wheels of scikit-image and matplotlib, and in no data set that the models were trained on:
three with a person (astronaut, camera, grace_hopper), one with a cat (chelsea), six with neither.
"""

import argparse
from pathlib import Path

from seglab import CLASS_SETS, predict
from seglab.data.photographs import photograph
from seglab.masks.painting import overlay
from seglab.models.weights.zoo import zoo_dir
from seglab.viz.pictures import describe, legend, side_by_side

PHOTOGRAPHS = [photograph(name) for name in (
    "grace_hopper.jpg", "astronaut.png", "camera.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png",
    "motorcycle_right.png", "clock_motion.png", "coins.png",
)]  # fmt: skip


def bundled() -> list[str]:
    """MODEL:WEIGHTS of the bundled models for photographs."""
    return [path.stem.replace("-", ":") for path in sorted(zoo_dir().glob("*-photographs.safetensors"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=bundled(), help="names or checkpoints; by default the bundled")
    parser.add_argument("--out", type=Path, default=Path("runs/contact_sheet.png"))
    given, classes, panels, masks = parser.parse_args(), CLASS_SETS["photographs"], {}, []
    for path in PHOTOGRAPHS:
        for name in given.models:
            p = predict(name, path)
            print(f"{path.stem:<17} {name:<32} {describe(p.mask, classes)}")
            panels[f"{path.stem}\n{p.label}"] = overlay(p.image, p.mask, classes)
            masks.append(p.mask)
    fig = side_by_side(panels, columns=len(given.models) if len(given.models) > 3 else 5, width=14)
    legend(fig, classes, *masks, columns=7)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(given.out, dpi=90)


if __name__ == "__main__":
    main()
