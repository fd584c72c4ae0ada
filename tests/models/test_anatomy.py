"""Blocks of real models are connected as in their papers; costs and receptive fields equal those worked out by hand."""

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from torch import nn

from seglab import load_model
from seglab.models import anatomy
from seglab.models.adapters import wrap
from seglab.models.cost import cost
from seglab.viz import diagrams

BLOCKS = {
    "unet_mini": ["encoder.*", "decoder.*", "classifier"],
    "fcn_mini": ["backbone.conv1", "backbone.layer?", "classifier"],
    "deeplabv3_mini": ["backbone.layer4", "classifier.0.convs.*", "classifier.0.project", "classifier.4"],
    "lraspp_mini": ["backbone.2", "backbone.12", "classifier.*"],
    "segformer_mini": ["segformer.stages.*", "decode_head.linear_projections.*", "decode_head.linear_fuse"],
    "mask2former_mini": ["model.pixel_level_module.encoder", "model.pixel_level_module.decoder",
                         "model.transformer_module", "class_predictor"],
}  # fmt: skip


@pytest.fixture(scope="module")
def model_of():
    models = {}
    return lambda name: models.setdefault(name, load_model(name, weights=None, device="cpu"))


def test_encoder_decoder_and_skip_connections_of_the_unet(model_of):
    found = anatomy.flow(model_of("unet_mini"), (64, 96), BLOCKS["unet_mini"])
    down = {("image", "encoder.0")} | {(f"encoder.{i}", f"encoder.{i + 1}") for i in range(4)}
    up = {("encoder.4", "decoder.0"), ("decoder.3", "classifier")} | {(f"decoder.{i}", f"decoder.{i + 1}")
                                                                      for i in range(3)}  # fmt: skip
    across = {(f"encoder.{3 - i}", f"decoder.{i}") for i in range(4)}
    assert set(found.edges) == down | up | across
    assert found.blocks.loc["encoder.4", ["channels", "height", "width"]].tolist() == [256, 4, 6]


def test_five_branches_of_aspp(model_of):
    edges = anatomy.flow(model_of("deeplabv3_mini"), (64, 96), BLOCKS["deeplabv3_mini"]).edges
    for i in range(5):
        assert ("backbone.layer4", f"classifier.0.convs.{i}") in edges
        assert (f"classifier.0.convs.{i}", "classifier.0.project") in edges


def test_lraspp_uses_low_and_high_features(model_of):
    """Low features go straight to their classifier; high ones are scaled by the pooled branch."""
    edges = anatomy.flow(model_of("lraspp_mini"), (64, 96), BLOCKS["lraspp_mini"]).edges
    assert {("backbone.2", "classifier.low_classifier"), ("backbone.12", "classifier.scale")} <= set(edges)
    assert ("classifier.scale", "classifier.high_classifier") in edges


def test_globally_pooled_blocks_are_drawn_in_a_row_of_their_own(model_of):
    drawn = diagrams.architecture(anatomy.flow(model_of("lraspp_mini"), (64, 96), BLOCKS["lraspp_mini"]))
    assert [label.get_text() for label in drawn.axes[0].get_yticklabels()] == ["1", "1/8", "1/16", "1 × 1"]


def test_segformer_fuses_all_stages(model_of):
    edges = anatomy.flow(model_of("segformer_mini"), (64, 96), BLOCKS["segformer_mini"]).edges
    assert {s for s, t in edges if t == "decode_head.linear_fuse"} == {
        f"decode_head.linear_projections.{i}" for i in range(4)
    }


def test_queries_of_mask2former_are_a_list_and_its_last_masks_are_taken(model_of):
    """Its mask predictor runs once before the three layers and once after each; its last run is drawn."""
    decoder = "model.transformer_module.decoder"
    blocks = ["model.pixel_level_module.decoder.mask_projection", f"{decoder}.layers.*", f"{decoder}.mask_predictor",
              "class_predictor"]  # fmt: skip
    found = anatomy.flow(model_of("mask2former_mini"), (64, 96), blocks)
    assert {s for s, t in found.edges if t == f"{decoder}.mask_predictor"} == {blocks[0], f"{decoder}.layers.2"}
    assert {s for s, t in found.edges if t == "class_predictor"} == {f"{decoder}.layers.2"}
    shape = ["channels", "height", "width"]
    assert found.blocks.loc[f"{decoder}.layers.2", shape].tolist() == [96, 20, 0]  # 20 vectors, sequence first
    assert found.blocks.loc["class_predictor", shape].tolist() == [12, 20, 0]
    assert found.blocks.loc[f"{decoder}.mask_predictor", shape].tolist() == [20, 16, 24]
    assert "class_predictor 20 × 12" in diagrams.architecture(found, level=3).alt


@pytest.mark.parametrize("name", BLOCKS)
def test_costs_of_blocks_add_up_to_those_of_the_model(model_of, name):
    table, whole = anatomy.cost_by_block(model_of(name), (64, 96), BLOCKS[name]), cost(model_of(name), (64, 96))
    assert (table >= 0).all(axis=None)
    assert table.sum().tolist() == [whole.params, whole.macs]


@pytest.mark.parametrize("name", BLOCKS)
def test_the_architecture_can_be_drawn_and_described(model_of, name):
    drawn = diagrams.architecture(anatomy.flow(model_of(name), (64, 96), BLOCKS[name]), {"classifier": "head"})
    assert drawn.alt.startswith("Blocks and their outputs")
    assert drawn.png().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["unet_mini", "deeplabv3_mini"])
def test_text_fits_into_its_box_and_can_be_read(model_of, name):
    """The U-Net has the most boxes in a row, so their channels have a line of their own."""
    drawn = diagrams.architecture(anatomy.flow(model_of(name), (192, 256), BLOCKS[name]), {"classifier": "1×1"})
    FigureCanvasAgg(drawn).draw()
    boxes = [patch.get_window_extent() for patch in drawn.axes[0].patches]
    for text in drawn.axes[0].texts:
        if text.get_text():  # not an arrow
            extent = text.get_window_extent()
            assert any(
                b.x0 <= extent.x0 and extent.x1 <= b.x1 and b.y0 <= extent.y0 and extent.y1 <= b.y1 for b in boxes
            )
            assert text.get_fontsize() >= 5.5


def plain(*layers: nn.Module):
    return wrap(nn.Sequential(*layers), "membrane")


def test_the_receptive_field_of_three_convolutions():
    """A 3×3, one with dilation 2 and one with stride 2: 3 + 4 + 2 = 9 pixels, centred, and nothing else."""
    model = plain(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=2, dilation=2), nn.Conv2d(4, 2, 3, 2, 1))
    field = anatomy.receptive_field(model, torch.randn(2, 3, 32, 32))
    nonzero = field > 0
    assert field.sum() == pytest.approx(1)
    rows, columns = (nonzero.any(dim).nonzero().flatten() for dim in (1, 0))
    assert len(rows) == len(columns) == 9
    assert rows.float().mean() == columns.float().mean() == 16  # pixel 16 is at position 8 of 16


def test_the_position_can_be_chosen():
    field = anatomy.receptive_field(plain(nn.Conv2d(3, 2, 1)), torch.randn(1, 3, 10, 20), at=(0.0, 0.999))
    assert (field > 0).nonzero().tolist() == [[0, 19]]


def test_the_side_of_a_receptive_field_by_hand():
    field = torch.zeros(21, 21)
    field[10, 10] = 1.0
    assert anatomy.receptive_field_side(field) == 1
    field[8:13, 8:13] = 1 / 25
    field[10, 10] = 1 / 25
    assert anatomy.receptive_field_side(field) == pytest.approx(5)


def test_activations_are_the_outputs_of_the_blocks():
    first, second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1)
    images = torch.randn(1, 3, 8, 8)
    found = anatomy.activations(plain(first, second), images, ["0", "1"])
    torch.testing.assert_close(found["0"], first(images))
    torch.testing.assert_close(found["1"], second(first(images)))


def test_inputs_of_blocks_can_be_replaced():
    first, second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1)
    model, images = plain(first, second), torch.randn(1, 3, 8, 8)
    before = model(images)
    with anatomy.replace_inputs(model, {"1": lambda x: (torch.zeros_like(x),)}):
        assert (model(images) == second.bias[:, None, None]).all()
    assert torch.equal(model(images), before)
    with pytest.raises(ValueError, match="no block '2'"), anatomy.replace_inputs(model, {"2": lambda x: (x,)}):
        pass


def test_unknown_and_nested_blocks_are_refused(model_of):
    with pytest.raises(ValueError, match=r"UNet has no block 'decode\.\*'; its blocks are encoder, decoder"):
        anatomy.flow(model_of("unet_mini"), (32, 32), ["decode.*"])
    with pytest.raises(ValueError, match=r"'encoder\.0\.0' lies inside 'encoder\.0'"):
        anatomy.flow(model_of("unet_mini"), (32, 32), ["encoder.*", "encoder.0.0"])
