"""A plan of a small report, and the tables that a report holds."""

from seglab.data.loading import DataSelection
from seglab.report.plan import Plan

TWO_MODELS = Plan(
    {"unet": ("unet_mini:toytown",), "<b>lr</b>": ("lraspp_mini:toytown",)},
    (DataSelection("toytown", images=12), DataSelection("toytown:fog", images=3)),
)


def tables(out):
    """Path below the report → bytes of each table."""
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted((out / "tables").rglob("*.csv"))}
