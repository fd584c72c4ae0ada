"""One thread for each training, and commands in processes of their own."""

import os
import subprocess
import sys

import pytest
import torch
from helpers.tiny_training import town
from PIL import Image


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """As in the processes that tests start: the number of threads changes the last bits, and so does a GPU."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def camvid(tmp_path_factory):
    """Scenes of Toytown in the files of CamVid: a small data set for the command line."""
    root = tmp_path_factory.mktemp("data")
    for split, count in {"train": 12, "val": 5}.items():
        lines = []
        for i in range(count):
            sample = town(split, count)[i]
            image, mask = (root / "camvid" / "CamVid" / kind / f"{i:06}.png" for kind in (split, f"{split}annot"))
            for path in (image, mask):
                path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(sample.image.permute(1, 2, 0).numpy()).save(image)
            Image.fromarray(sample.target.where(sample.target != 255, 11).numpy()).save(mask)
            lines.append(" ".join(f"/SegNet/CamVid/{p.parent.name}/{p.name}" for p in (image, mask)))
        (root / "camvid" / "CamVid" / f"{split}.txt").write_text("\n".join(lines))
    return root


@pytest.fixture
def start(camvid):
    """A function that starts a real command with one thread per process; the test ends it."""
    started = []

    def command(*arguments, processes=1):
        python = [sys.executable, "-m"]
        env = os.environ | {"SEGLAB_DATA": str(camvid), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        if processes > 1:
            python += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
            del env["ACCELERATE_USE_CPU"]  # the processes have to find each other without it
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen([*python, *map(str, arguments)], env=env, **pipes))
        return started[-1]

    yield command
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.communicate()
