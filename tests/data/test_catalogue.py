"""The table of data sets."""

from torchvision.datasets import OxfordIIITPet
from torchvision.datasets.voc import DATASET_YEAR_DICT

from seglab import CLASS_SETS, DATASETS
from seglab.data.catalogue import table


def test_every_row_is_complete():
    for name, spec in DATASETS.items():
        assert spec.classes in CLASS_SETS or name == "folder"
        assert spec.reader or name in ("toytown", "folder")
        assert spec.downloads or spec.by_hand or name in ("toytown", "folder")
        assert spec.licence.endswith(".") and spec.title and spec.about
    assert list(table().index) == list(DATASETS) and table().loc["coco", "download"] == "1.07 GB"


def test_addresses_and_hashes_equal_those_of_torchvision():
    voc = DATASETS["voc"].downloads[0]
    assert voc.url == DATASET_YEAR_DICT["2012"]["url"] and voc.hash == "md5:" + DATASET_YEAR_DICT["2012"]["md5"]
    pets = [(d.url, d.hash.removeprefix("md5:")) for d in DATASETS["pets"].downloads]
    assert tuple(pets) == OxfordIIITPet._RESOURCES
