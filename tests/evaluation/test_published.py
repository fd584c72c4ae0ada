"""Published values, and their comparison with measured ones."""

import pandas as pd
import pytest
from torchvision.models import get_model_weights

from seglab.evaluation.published import beside, published_table
from seglab.models.registry import MODELS


def test_table_holds_torchvisions_values():
    table = published_table()
    assert len(table) == 6
    for name, row in table.iterrows():
        meta = get_model_weights(name).DEFAULT.meta
        published = meta["_metrics"]["COCO-val2017-VOC-labels"]
        assert row["miou"] == pytest.approx(published["miou"] / 100)
        assert row["pixel_accuracy"] == pytest.approx(published["pixel_acc"] / 100)
        assert row["mparams"] == pytest.approx(meta["num_params"] / 1e6)
        assert row["gmacs"] == pytest.approx(meta["_ops"])
        assert row["download_mb"] == pytest.approx(meta["_file_size"] * 2**20 / 1e6)  # theirs are MiB
        assert name in MODELS
    assert table.loc["deeplabv3_resnet101"].tolist() == pytest.approx([0.674, 0.924, 60.996202, 258.743, 244.546], 1e-5)
    assert len(table.attrs["conventions"]) == 5


def test_published_and_measured_stand_side_by_side():
    names = ["lraspp_mobilenet_v3_large:coco", "unet_mini:toytown", "fcn_resnet50"]
    measured = pd.DataFrame({"miou": [0.569, 0.4, 0.61]}, index=names)
    table = beside(measured)
    assert list(table.index) == ["lraspp_mobilenet_v3_large:coco", "fcn_resnet50"]
    assert table["published"].tolist() == [0.579, 0.605]
    assert table["difference"].tolist() == pytest.approx([-0.01, 0.005])
    assert any("overlap" in reason for reason in table.attrs["reasons"])
    assert beside(measured.loc[["unet_mini:toytown"]]).empty
