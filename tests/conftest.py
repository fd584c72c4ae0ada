"""What several test files share."""

from pathlib import Path

import pytest

import seglab  # noqa: F401  sets how OpenMP waits, which has to happen before torch is imported


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder that SEGLAB_DATA names, holding small trees of CamVid, VOC, COCO and membranes."""
    from seglab.data import data_root  # here, so that tests without data start without torch

    root = data_root()
    missing = [name for name in ("camvid", "VOCdevkit/VOC2012", "coco", "membrane") if not (root / name).is_dir()]
    if missing:
        pytest.skip(
            f"{', '.join(missing)} not found in {root}: set SEGLAB_DATA to a folder that has them,"
            " or download them: python -c \"from seglab import load_dataset; load_dataset('camvid')\" and so on"
        )
    return root
