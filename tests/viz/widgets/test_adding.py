"""The field of the explorer for a further model: files, sources and names, and what is refused in a sentence."""

import helpers.hub_models as small
import pytest
import torch
import transformers as t

from seglab import load_model, predict
from seglab.models.checkpoints import save_model
from seglab.viz.widgets.details import SAVE
from seglab.viz.widgets.explorer import explore

UNET, LRASPP = "unet_mini:toytown", "lraspp_mini:toytown"


@pytest.fixture
def opened():
    shown = explore([UNET], "toytown test", wait=True)
    shown.tabs.selected_index = SAVE
    return shown


def enter(explorer, text):
    explorer.add.value = text
    explorer.wait()  # until it is loaded
    explorer.wait()  # until the predictions are shown


@pytest.mark.slow
def test_a_name_a_file_and_a_source_are_added_and_selected(opened, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "mine" / "best.safetensors"
    file.parent.mkdir()
    save_model(load_model(LRASPP, device="cpu"), file)
    processor = t.SegformerImageProcessor(size={"height": 64, "width": 64})
    source = f"hf:{small.write(tmp_path / 'hf', small.segformer(), processor)}"
    for text, names in ((LRASPP, [LRASPP]), ("~/mine/best.safetensors", ["mine/best.safetensors"]), (source, [source])):
        before = opened.models.options
        enter(opened, f" {text} ")
        assert opened.models.options == (*before, *names)
        assert opened.add.value == opened.problem.value == ""
        assert list(opened.predictions) == list(opened.models.value) == [UNET, *opened.models.options[1:]]
    assert torch.equal(opened.predictions[LRASPP].mask, predict(LRASPP, opened.sample.image).mask)
    assert f"load_model({str(file)!r})" in opened.details.code.value
    opened.models.value = [UNET]
    enter(opened, LRASPP)  # a model of the menu is only selected
    assert (opened.models.value, len(opened.models.options)) == ((UNET, LRASPP), 4)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("unet_mni", "unknown model &#x27;unet_mni&#x27;; did you mean &#x27;unet_mini&#x27;?"),
        ("hf:nowhere", "hf:nowhere: there is no folder &#x27;nowhere&#x27;"),
        ("tv:ResNet50_Weights.DEFAULT", "are weights of resnet, not of segmentation"),
        ("<b>.onnx", "there is no file &#x27;&lt;b&gt;.onnx&#x27;"),
    ],
)
def test_a_model_that_cannot_be_loaded_is_reported_in_a_sentence(opened, text, sentence):
    enter(opened, text)
    assert sentence in opened.problem.value
    assert "Traceback" not in opened.problem.value
    assert (opened.models.options, opened.add.value) == ((UNET,), text)
    enter(opened, LRASPP)
    assert (opened.models.value, opened.problem.value) == ((UNET, LRASPP), "")
