"""CamVid *test*, the split that papers report on: the minis of the zoo on real streets, for notebook 15.

    python benchmarks/studies/camvid_test.py       downloads CamVid (190 MB) where it is missing; goes on where it
                                                   was interrupted

The bundled weights are evaluated, and further training seeds where `zoo.py train` has left them in the folder `--runs`.
`data/results/camvid_test.sqlite` holds the counts of every frame; `Results.open` reads it. Pictures are not stored.

The split has 233 frames. Neighbouring frames of a drive show nearly the same, so the drives are what is resampled for
the intervals, not the frames.
"""

import argparse
from pathlib import Path

from zoo import SEEDS, folder, recipes

from seglab import Results, evaluate, load_dataset
from seglab.course.studies import camvid_test_path


def models(runs: Path) -> list[str | tuple[str, Path]]:
    """The bundled CamVid weights, and each further seed with its checkpoint."""
    names = [name for name in recipes() if name.endswith(":camvid")]
    found = [(name, path) for name in names for path in runs.glob(f"{name.replace(':', '-')}-*/best.safetensors")]
    bundled = SEEDS["camvid"][0]
    return [*names, *sorted((name, path) for name, path in found if path.parent != folder(name, bundled, runs))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/zoo"), help="folder of further trainings")
    frames = load_dataset("camvid", "test")
    evaluate(models(parser.parse_args().runs), frames, camvid_test_path())
    print(Results.open(camvid_test_path()).summary()[["miou", "low", "high", "seeds"]].round(3).to_string())


if __name__ == "__main__":
    main()
