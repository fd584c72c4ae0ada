"""Where the project's own files lie: beside the package in a checkout, under `share/seglab` after `pip install`.

Both trees are laid out alike: `notebooks/`, `data/results/`, `data/zoo/`, `constraints.txt`.
"""

import sysconfig
from pathlib import Path


def project_root() -> Path | None:
    """The checkout that this package is imported from; None when it was installed from a wheel."""
    root = Path(__file__).resolve().parents[1]
    return root if (root / "pyproject.toml").is_file() and (root / "notebooks").is_dir() else None


def share_dir() -> Path | None:
    """The folder that holds notebooks and trained weights; None when neither a checkout nor a wheel brought it."""
    if root := project_root():
        return root
    schemes = sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")
    shares = (Path(sysconfig.get_path("data", scheme)) / "share" / "seglab" for scheme in schemes)
    return next((share for share in shares if share.is_dir()), None)
