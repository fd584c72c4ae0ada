"""Models of transformers: small checkpoints that its own `save_pretrained` writes, compared with its own pipeline."""

import json
import os
import subprocess
import sys
from pathlib import Path

import helpers.hub_models as small
import numpy as np
import pytest
import torch
import transformers as t
from helpers.hub import COMMIT, hub_answer
from helpers.server import send, serving
from torch.nn import functional as F

from seglab import evaluate, load_dataset, load_model, predict
from seglab.data.transforms import IMAGENET_MEAN
from seglab.masks.argmax import to_mask
from seglab.metrics.confusion import confusion_matrix

SQUARE, SHORT = {"height": 64, "width": 64}, {"shortest_edge": 64, "longest_edge": 200}
# The post-processing of Mask2Former, without its interpolation to 384×384 before that to the size of the image.
PLAIN = t.MaskFormerImageProcessor()
# architecture, its processor → short side or exact size, divisor, output stride
FAMILIES = [
    (small.segformer, t.SegformerImageProcessor(size=SQUARE), 64, 1, 4),
    (small.upernet, t.SegformerImageProcessor(size=SQUARE), 64, 1, 1),
    (small.beit, t.BeitImageProcessor(size=SQUARE, do_center_crop=False), 64, 8, 2),
    (small.data2vec, t.BeitImageProcessor(size=SQUARE, do_center_crop=False), (64, 64), 1, 2),
    (small.dpt, t.DPTImageProcessor(size=SQUARE), (64, 64), 1, 1),
    (small.mobilevit, t.MobileViTImageProcessor(size={"shortest_edge": 64}, do_center_crop=False), 64, 1, 32),
    (small.mobilenet_v2, t.MobileNetV2ImageProcessor(size={"shortest_edge": 64}, do_center_crop=False), 64, 1, 32),
    (small.maskformer, t.MaskFormerImageProcessor(size=SHORT), 64, 1, 4),
    (small.mask2former, t.Mask2FormerImageProcessor(size=SHORT), 64, 1, 4),
    (small.eomt, t.EomtImageProcessor(size=SHORT | {"longest_edge": None}, do_split_image=True), 64, 1, 1),
]  # fmt: skip


def photo(height, width):
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("build", "processor", "short", "divisor", "stride"), FAMILIES,
                         ids=[row[0].__name__ for row in FAMILIES])  # fmt: skip
def test_families_have_the_scores_of_transformers_own_pipeline(tmp_path, build, processor, short, divisor, stride):
    """On an image of the network's size, where both pipelines resize nothing."""
    torch.manual_seed(0)
    net = build()
    model = load_model(f"hf:{small.write(tmp_path / 'mine', net, processor)}", device="cpu")
    assert (model.label, model.classes.names, model.classes.background) == ("hf:mine", small.NAMES, 0)
    assert model.classes.name == "hf:mine"  # without the path of this machine
    assert (model.short, model.spec.divisor, model.facts["stride"]) == (short, divisor, stride)
    image = photo(64, 64)
    inputs = processor(images=image.permute(1, 2, 0).numpy(), return_tensors="pt")
    torch.testing.assert_close(
        model.preprocess(image),
        inputs["pixel_values"].flip(1) if getattr(model, "bgr", False) else inputs["pixel_values"],
    )
    with torch.inference_mode():
        output = net(pixel_values=inputs["pixel_values"])
        if "patch_offsets" in inputs:
            output.patch_offsets = inputs["patch_offsets"]
        after = PLAIN if build is small.mask2former else processor
        official = after.post_process_semantic_segmentation(output, target_sizes=[(64, 64)])[0]
        scores = F.interpolate(model(model.preprocess(image)), (64, 64), mode="bilinear")[0]
        assert (scores.argmax(0) != official).float().mean() <= 1e-3  # ties of random weights


def test_a_wide_image_of_eomt_is_cut_into_squares_as_by_its_processor(tmp_path):
    torch.manual_seed(0)
    net, processor = small.eomt(), FAMILIES[-1][1]
    model = load_model(f"hf:{small.write(tmp_path / 'mine', net, processor)}", device="cpu")
    for size in ((64, 150), (130, 64)):
        image = photo(*size)
        inputs = processor(images=image.permute(1, 2, 0).numpy(), return_tensors="pt")
        assert len(inputs["pixel_values"]) == 3
        with torch.inference_mode():
            output = net(pixel_values=inputs["pixel_values"])
            output.patch_offsets = inputs["patch_offsets"]
            official = processor.post_process_semantic_segmentation(output, target_sizes=[size])[0]
        assert (predict(model, image).mask != official).float().mean() < 1e-3


def test_oneformer_gets_the_tokens_of_its_task(tmp_path):
    folder, net = tmp_path / "mine", small.oneformer()
    (tmp_path / "meta.json").write_text(json.dumps({str(i): {"name": n, "isthing": 0} for i, n in enumerate("abc")}))
    letters = [chr(c) for c in range(97, 123)]
    vocabulary = ["<|startoftext|>", "<|endoftext|>", *letters, *(letter + "</w>" for letter in letters)]
    tokens = t.CLIPTokenizer(vocab={word: i for i, word in enumerate(vocabulary)}, merges=[])
    images = t.OneFormerImageProcessor(repo_path=str(tmp_path), class_info_file="meta.json", size=SHORT, num_text=2)
    processor = t.OneFormerProcessor(images, tokens, max_seq_length=10, task_seq_length=10)
    model = load_model(f"hf:{small.write(folder, net, processor)}", device="cpu")
    image = photo(64, 64)
    inputs = processor(images=[image.permute(1, 2, 0).numpy()], task_inputs=["semantic"], return_tensors="pt")
    assert model.task.tolist() == inputs["task_inputs"].tolist()
    with torch.inference_mode():
        official = images.post_process_semantic_segmentation(
            net(inputs["pixel_values"], task_inputs=inputs["task_inputs"]), target_sizes=[(64, 64)]
        )[0]
    assert torch.equal(predict(model, image).mask.long(), official)
    with pytest.raises(
        ValueError, match="seglab does not train hf:mine; of the models that classify masks, only Mask2"
    ):
        model.loss(torch.zeros(1, 3, 64, 64), torch.zeros(1, 64, 64, dtype=torch.long), None)


def test_counts_of_trained_weights_equal_those_of_transformers_pipeline(tmp_path):
    """SegFormer mini on four Toytown scenes, with the pipeline that transformers documents."""
    processor = t.SegformerImageProcessor(size={"height": 192, "width": 256})
    mini = small.write_mini(tmp_path / "mine", "segformer_mini:toytown", processor)
    net = t.AutoModelForSemanticSegmentation.from_pretrained(tmp_path / "mine")
    scenes = load_dataset("toytown", "test").subset(range(4))
    results = evaluate([f"hf:{tmp_path / 'mine'}", mini], scenes, device="cpu", progress=False)
    official = torch.zeros(11, 11, dtype=torch.int64)
    for sample in scenes:
        inputs = processor(images=sample.image.permute(1, 2, 0).numpy(), return_tensors="pt")
        with torch.inference_mode():
            mask = processor.post_process_semantic_segmentation(net(**inputs), [tuple(sample.target.shape)])[0]
        official += confusion_matrix(mask, sample.target, 11)
    ours, minis = (results.measurements.table(run)[:, :-1] for run in results.identities)
    assert np.abs(ours - official.numpy()).sum() <= 4  # of 197,000 pixels; the fast path folds nothing here
    assert np.array_equal(ours, minis)
    assert results.identities[0]["weights"] == results.identities[1]["weights"]
    assert "mean" not in results.identities[0]


def test_mask2former_differs_from_transformers_pipeline_by_its_second_interpolation_only(tmp_path):
    processor = t.Mask2FormerImageProcessor(size={"shortest_edge": 192, "longest_edge": 256})
    mini = small.write_mini(tmp_path / "mine", "mask2former_mini:toytown", processor)
    model = load_model(f"hf:{tmp_path / 'mine'}", device="cpu")
    sample = load_dataset("toytown", "test")[0]
    batch = model.preprocess(sample.image)
    with torch.inference_mode():
        assert torch.equal(model(batch), mini(batch))
        once, twice = (after.post_process_semantic_segmentation(mini.net(batch), [(192, 256)])[0]
                       for after in (PLAIN, processor))  # fmt: skip
        mask = to_mask(model(batch), size=(192, 256))[0]
    assert torch.equal(mask.long(), once)
    assert 0.98 < (mask == twice).float().mean() < 1


@pytest.mark.slow
def test_counts_of_a_universal_model_follow_from_transformers_scores_interpolated_once(tmp_path):
    """Mask2Former mini on three scenes that both pipelines resize from 240×320 to 192×256."""
    processor = t.Mask2FormerImageProcessor(size={"shortest_edge": 192, "longest_edge": 256})
    small.write_mini(tmp_path / "mine", "mask2former_mini:toytown", processor)
    net = t.AutoModelForUniversalSegmentation.from_pretrained(tmp_path / "mine")
    scenes = load_dataset("toytown", "test", size=(240, 320)).subset(range(3))
    results = evaluate(f"hf:{tmp_path / 'mine'}", scenes, device="cpu", progress=False)
    official = torch.zeros(11, 11, dtype=torch.int64)
    for sample in scenes:
        inputs = processor(images=sample.image.permute(1, 2, 0).numpy(), return_tensors="pt")
        assert inputs["pixel_values"].shape[2:] == (192, 256)
        with torch.inference_mode():
            output = net(pixel_values=inputs["pixel_values"])
        mask = PLAIN.post_process_semantic_segmentation(output, [tuple(sample.target.shape)])[0]
        official += confusion_matrix(mask, sample.target, 11)
    ours = results.measurements.table(0)[:, :-1]
    assert np.abs(ours - official.numpy()).sum() <= 2 * 3 * 240 * 320 / 10_000  # a pixel that differs counts twice
    assert (official.sum(0) > 0).sum() > 5


def test_what_the_files_do_not_state_is_asked_for_and_can_be_given(tmp_path):
    net = small.segformer()
    net.config.id2label = {i: f"LABEL_{i}" for i in range(3)}
    name = f"hf:{small.write(tmp_path / 'mine', net)}"
    with pytest.raises(ValueError, match="does not state its classes, size, mean, std; state what it was trained with"):
        load_model(name)
    model = load_model(name, classes="sky, road, tree", size="48x64", mean=(0.5, 0.5, 0.5), std=(1, 1, 1), device="cpu")
    assert model.classes.names == ("sky", "road", "tree")
    assert (model.short, model.mean, model.std) == ((48, 64), (0.5, 0.5, 0.5), (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match=r"gives no scores \(B,K,h',w'\) for its 2 classes.*got \(1, 3,"):
        load_model(name, classes="sky, road", size=64, mean=(0.5, 0.5, 0.5), std=(1, 1, 1), device="cpu")


def test_normalisation_is_that_of_the_processor(tmp_path):
    net = small.segformer()

    def of(**options):
        small.write(tmp_path / "mine", net, t.SegformerImageProcessor(size=SQUARE, **options))
        return load_model(f"hf:{tmp_path / 'mine'}", device="cpu")

    assert of().mean == IMAGENET_MEAN
    assert (of(do_normalize=False).mean, of(do_normalize=False).std) == ((0, 0, 0), (1, 1, 1))
    raw = of(do_rescale=False, image_mean=[102, 51, 0], image_std=[51, 51, 51])
    assert (raw.mean, raw.std) == ((0.4, 0.2, 0.0), (0.2, 0.2, 0.2))
    assert of(do_resize=False).short is None
    old = {"feature_extractor_type": "SegformerFeatureExtractor", "size": 128, "image_mean": [0.5] * 3,
           "image_std": [0.25] * 3, "do_normalize": True}  # fmt: skip
    (tmp_path / "mine" / "preprocessor_config.json").write_text(json.dumps(old))
    model = load_model(f"hf:{tmp_path / 'mine'}", device="cpu")
    assert (model.short, model.mean, model.std) == (128, (0.5,) * 3, (0.25,) * 3)


def test_names_of_a_known_class_set_are_that_class_set(tmp_path):
    small.write_mini(tmp_path / "mine", "segformer_mini:toytown", t.SegformerImageProcessor(size=SQUARE))
    assert load_model(f"hf:{tmp_path / 'mine'}", device="cpu").classes.name == "street"


def test_wrong_models_are_refused_with_one_sentence(tmp_path):
    folder = small.write(tmp_path / "mine", small.segformer(), t.SegformerImageProcessor(size=SQUARE))
    config = json.loads((folder / "config.json").read_text())

    def problem(name, **changes):
        (folder / "config.json").write_text(json.dumps(config | changes))
        with pytest.raises(ValueError, match=r"^hf:") as caught:
            load_model(name, device="cpu")
        return str(caught.value)

    classifier = small.write(tmp_path / "other", t.SegformerForImageClassification(
        t.SegformerConfig(hidden_sizes=[8, 8, 16, 16], num_attention_heads=[1, 1, 1, 2], depths=[1] * 4)))  # fmt: skip
    assert "is a SegformerForImageClassification, which does not segment images" in problem(f"hf:{classifier}")
    bert = t.BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=9)
    text = small.write(tmp_path / "text", t.BertModel(bert))
    assert "is a BertModel, which does not segment images" in problem(f"hf:{text}")
    assert "transformers cannot use its config.json" in problem(f"hf:{folder}", model_type="seg-own")
    own = problem(f"hf:{folder}", model_type="own", auto_map={"AutoConfig": "own.Config"})
    assert "transformers cannot use its config.json" in own
    assert "no fitting weights for" in problem(f"hf:{folder}", decoder_hidden_size=24)
    assert "the names in id2label cannot be used" in problem(f"hf:{folder}", id2label={0: "a", 1: "a", 2: "b"})
    assert "there is no folder 'nothing'" in problem("hf:nothing")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "seglab opens no pickled weights" in problem(f"hf:{folder}")
    with pytest.raises(ValueError, match="holds its weights and its network; leave out aux, norm, and weights"):
        load_model(f"hf:{folder}", weights=None)


LOADS = """
import sys
from seglab import load_model
model = load_model(sys.argv[1], device="cpu")
print(model.label, model.facts["source"], model.facts["revision"], model.short)
"""


@pytest.mark.slow
def test_a_repository_is_downloaded_once_without_its_code_and_its_pickles(tmp_path):
    """In a second process, from a local server with the paths of the hub; then without the server."""
    folder = small.write(tmp_path / "mine", small.segformer(), t.SegformerImageProcessor(size=SQUARE))
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    files |= {"modeling_own.py": b"raise SystemExit('code of the hub ran')", "pytorch_model.bin": b"pickle"}
    environment = os.environ | {"HF_HOME": str(tmp_path / "cache"), "NO_PROXY": "127.0.0.1", "HF_HUB_DISABLE_XET": "1"}

    def load(base):
        command = [sys.executable, "-c", LOADS, "hf:owner/tiny"]
        done = subprocess.run(command, env=environment | {"HF_ENDPOINT": base}, capture_output=True, text=True)
        return done.stdout, done.stderr

    with serving() as server:
        listing = {"id": "owner/tiny", "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
        tree = [{"type": "file", "path": name, "size": len(body), "oid": "0" * 40} for name, body in files.items()]
        for path, content in (("revision/main", listing), (f"tree/{COMMIT}?recursive=true&expand=false", tree)):
            body = json.dumps(content).encode()
            server.routes[f"/api/models/owner/tiny/{path}"] = (
                lambda handler, _, body=body: send(handler, 200, body, Content_Type="application/json")
            )  # fmt: skip
        for name, body in files.items():
            server.routes[f"/owner/tiny/resolve/{COMMIT}/{name}"] = hub_answer(body)
        printed, errors = load(server.base)
        assert printed.strip() == f"hf:owner/tiny hf:owner/tiny {COMMIT} 64", errors
        asked = {Path(path).name for path in server.ranges}
    assert not asked & {"modeling_own.py", "pytorch_model.bin"}
    printed, errors = load("http://127.0.0.1:9")
    assert printed.startswith("hf:owner/tiny"), errors
