"""CVAT for images."""

import pytest
from helpers.annotated import rows, save_images

from seglab.data.formats import cvat

LABELS = "".join(
    f"<label><name>{name}</name><type>{kind}</type><color>#0a0b0c</color></label>"
    for name, kind in (("car", "polygon"), ("sign", "rectangle"), ("night", "tag"))
)


def write(root, images, name="annotations.xml"):
    text = f"<annotations><version>1.1</version><meta><job><labels>{LABELS}</labels></job></meta>{images}</annotations>"
    (root / name).write_text(text, encoding="utf-8")


def image(name, shapes, subset="default"):
    return f'<image id="0" name="{name}" subset="{subset}" width="6" height="4">{shapes}</image>'


POLYGON = '<polygon label="car" points="0,0;2,0;2,1;0,1" z_order="1"/>'
# Three rows of two pixels at x = 1: outside inside, inside inside, outside outside.
MASK = '<mask label="sign" rle="1, 3, 2" left="1" top="1" width="2" height="3" z_order="{}"/>'
BOX = '<box label="sign" xtl="0" ytl="0" xbr="2" ybr="2" z_order="0"/><tag label="night"/>'


@pytest.mark.parametrize(("z_order", "second"), [(0, "111000"), (1, "112000"), (2, "112000")])
def test_shapes_by_z_order_then_by_the_order_of_the_file(tmp_path, z_order, second):
    save_images(tmp_path, "images/a.png")
    write(tmp_path, image("a.png", POLYGON + MASK.format(z_order) + BOX))
    proposal = cvat.recognise(tmp_path)
    assert proposal.card.names == ("background", "car", "sign")
    assert proposal.card.colors == {"car": (10, 11, 12), "sign": (10, 11, 12)}
    assert proposal.evidence[1] == "Without pixels, and left out: box 1, tag 1."
    (entry,) = cvat.entries(proposal.card)
    assert rows(entry) == ["111000", second, "022000", "000000"]


def test_rotated_ellipses(tmp_path):
    save_images(tmp_path, "a.png")
    write(tmp_path, image("a.png", '<ellipse label="car" cx="2" cy="1" rx="1" ry="2" rotation="90.0"/>'))
    assert rows(cvat.entries(cvat.recognise(tmp_path).card)[0]) == ["001000", "111110", "001000", "000000"]


def test_subsets_and_several_files(tmp_path):
    save_images(tmp_path, "images/Train/a.png", "images/Validation/a.png", "images/Validation/b.png")
    write(tmp_path, image("a.png", POLYGON, "Train"), "job_1.xml")
    write(tmp_path, image("Validation/a.png", POLYGON, "Validation") + image("b.png", "", "Validation"), "job_2.xml")
    proposal = cvat.recognise(tmp_path)
    assert proposal.card.annotations == "job_*.xml"
    assert "1 image without annotation" in proposal.question.text
    entries = cvat.entries(proposal.card)
    assert [(entry.id, entry.split) for entry in entries] == [
        ("Train/a", "train"), ("Validation/a", "val"), ("Validation/b", "val"),
    ]  # fmt: skip


def test_other_xml_files_are_not_recognised(tmp_path):
    (tmp_path / "voc.xml").write_text("<annotation><object/></annotation>", encoding="utf-8")
    (tmp_path / "video.xml").write_text("<annotations><track/></annotations>", encoding="utf-8")
    (tmp_path / "damaged.xml").write_text("<annotations><image", encoding="utf-8")
    assert cvat.recognise(tmp_path) is None


def test_errors_name_the_file(tmp_path):
    save_images(tmp_path, "a.png")
    write(tmp_path, image("a.png", POLYGON))
    card = cvat.recognise(tmp_path).card
    write(tmp_path, image("a.png", MASK.format(0).replace("1, 3, 2", "1, 3")))
    with pytest.raises(ValueError, match=r"annotations.xml: a.png: an object cannot be drawn"):
        cvat.entries(card)[0].target((4, 6))
    write(tmp_path, '<image name="a.png"/>')
    with pytest.raises(ValueError, match=r"annotations.xml: not as the format 'cvat' has it .no 'height'"):
        cvat.entries(card)
    write(tmp_path, "")
    with pytest.raises(ValueError, match=r"no file annotations.xml has the keys of format 'cvat'"):
        cvat.entries(card)
    (tmp_path / "annotations.xml").write_text("<annotations>", encoding="utf-8")
    with pytest.raises(ValueError, match=r"annotations.xml: damaged or no XML"):
        cvat.entries(card)
