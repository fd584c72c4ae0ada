"""ONNX and torch.export files of other origin: what is asked for, and what is refused in a sentence."""

import numpy as np
import pytest
import torch

from seglab import predict
from seglab.models.sources.exported import exported_model
from seglab.models.sources.stated import Stated, stated

onnx = pytest.importorskip("onnx", reason="ONNX files need the package onnx: pip install .[fast]")
pytest.importorskip("onnxruntime", reason="ONNX files need the package onnxruntime: pip install .[fast]")
RGB = stated("red,green,blue", "original", (0, 0, 0), (1, 1, 1))


def graph(path, operator="Identity", source=("b", 3, "h", "w"), result=("b", 3, "h", "w"), **kinds):
    """An ONNX file with one operator. Identity takes the channels of the image as scores."""
    from onnx import TensorProto, helper

    own = {"perm": [0, 2, 3, 1]} if operator == "Transpose" else {"axis": 1} if operator == "ArgMax" else {}
    kind_in, kind_out = kinds.get("given", TensorProto.FLOAT), kinds.get("got", TensorProto.FLOAT)
    node = helper.make_node(operator, ["x"], ["y"], **own)
    inputs = [helper.make_tensor_value_info("x", kind_in, source)]
    outputs = [helper.make_tensor_value_info("y", kind_out, result)]
    model = helper.make_model(helper.make_graph([node], "g", inputs, outputs),
                              opset_imports=[helper.make_opsetid("", 17)], ir_version=10)  # fmt: skip
    onnx.save(model, path)
    return str(path)


@pytest.fixture
def photo():
    return torch.randint(0, 256, (3, 20, 30), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_a_foreign_file_needs_classes_size_and_normalisation_and_then_predicts(tmp_path, photo):
    path = graph(tmp_path / "x.onnx")
    with pytest.raises(ValueError, match=r"x.onnx does not state its classes, size, mean, std"):
        exported_model(path, Stated())
    model = exported_model(path, RGB)
    assert torch.equal(predict(model, photo).mask, photo.float().argmax(0).to(torch.uint8))
    assert (model.label, model.short, model.classes.names) == ("x.onnx", None, ("red", "green", "blue"))
    assert model.net.state_dict().keys() == {"sha256"}
    with pytest.raises(ValueError, match="gives scores of 3 classes; own has 2"):
        exported_model(path, stated("a,b", "original", (0, 0, 0), (1, 1, 1)))
    with pytest.raises(ValueError, match="is an exported file and cannot be trained"):
        model.train()


def test_a_fixed_size_and_a_fixed_batch(tmp_path, photo):
    model = exported_model(graph(tmp_path / "x.onnx", source=(1, 3, 8, 12), result=(1, 3, 8, 12)),
                           stated("red,green,blue", None, (0, 0, 0), (1, 1, 1)))  # fmt: skip
    assert model.short == (8, 12)
    assert predict(model, photo).mask.shape == (20, 30)
    images = torch.rand(3, 3, 8, 12)
    assert torch.equal(model(images), images)
    with pytest.raises(ValueError, match="takes images of 8×12 pixels only"):
        exported_model(str(tmp_path / "x.onnx"), stated("a,b,c", 64, (0, 0, 0), (1, 1, 1)))


@pytest.mark.parametrize(("arguments", "message"), [
    ({"operator": "ArgMax", "result": ("b", 1, "h", "w"), "got": 7}, "class indices.*before their argmax"),
    ({"operator": "Transpose", "result": ("b", "h", "w", 3)}, "classes as second dimension of the output.*not as the"),
    ({"source": ("b", "h", "w", 3), "result": ("b", "h", "w", 3)}, "channels as second dimension of the input"),
    ({"source": ("b", 3), "result": ("b", 3)}, r"expected one input of images, float32 \(B,3,h,w\)"),
    ({"given": 2, "got": 2}, "expected one input of images, float32"),
])  # fmt: skip
def test_what_is_not_supported(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        exported_model(graph(tmp_path / "x.onnx", **arguments), RGB)


@pytest.mark.parametrize("name", ["x.onnx", "x.pt2"])
def test_a_damaged_or_missing_file(tmp_path, name):
    with pytest.raises(ValueError, match="there is no file"):
        exported_model(str(tmp_path / name), RGB)
    (tmp_path / name).write_bytes(np.arange(200, dtype=np.uint8).tobytes())
    with pytest.raises(ValueError, match="cannot be read as"):
        exported_model(str(tmp_path / name), RGB)


def test_a_foreign_program(tmp_path, photo):
    program = torch.export.export(torch.nn.Identity(), (torch.zeros(1, 3, 20, 30),))
    torch.export.save(program, tmp_path / "x.pt2")
    model = exported_model(str(tmp_path / "x.pt2"), RGB)
    assert torch.equal(predict(model, photo).mask, photo.float().argmax(0).to(torch.uint8))
