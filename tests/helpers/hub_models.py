"""Small checkpoints as transformers and smp write them: with random weights, or with those of the bundled minis."""

import transformers as t

from seglab import load_model

NAMES = ("background", "cat", "dog")
LABELS = {"id2label": dict(enumerate(NAMES)), "label2id": {name: i for i, name in enumerate(NAMES)}}
STAGES = ["stage1", "stage2", "stage3", "stage4"]
VIT = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 48, "image_size": 64}
QUERIES = {"num_queries": 5, "hidden_dim": 32, "num_attention_heads": 2, "encoder_layers": 1, "decoder_layers": 2,
           "encoder_feedforward_dim": 16, "dim_feedforward": 16}  # fmt: skip


def swin():
    return t.SwinConfig(embed_dim=8, depths=[1] * 4, num_heads=[1, 1, 2, 2], window_size=4, out_features=STAGES)


def segformer():
    widths = {"hidden_sizes": [8, 8, 16, 16], "num_attention_heads": [1, 1, 1, 2], "depths": [1] * 4}
    return t.SegformerForSemanticSegmentation(t.SegformerConfig(**widths, decoder_hidden_size=16, **LABELS))


def upernet():
    backbone = t.ConvNextConfig(hidden_sizes=[8, 8, 16, 16], depths=[1] * 4, out_features=STAGES)
    config = t.UperNetConfig(backbone_config=backbone, hidden_size=16, use_auxiliary_head=False, **LABELS)
    return t.UperNetForSemanticSegmentation(config)


def beit():
    config = t.BeitConfig(out_indices=[0, 1, 2, 3], use_relative_position_bias=True, patch_size=8, **VIT, **LABELS)
    return t.BeitForSemanticSegmentation(config)


def data2vec():
    options = {"out_indices": [0, 1, 2, 3], "use_relative_position_bias": True, "patch_size": 8}
    return t.Data2VecVisionForSemanticSegmentation(t.Data2VecVisionConfig(**options, **VIT, **LABELS))


def dpt():
    options = {"backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 16}
    return t.DPTForSemanticSegmentation(t.DPTConfig(**options, is_hybrid=False, patch_size=16, **VIT, **LABELS))


def mobilevit():
    widths = {"hidden_sizes": [16, 24, 32], "neck_hidden_sizes": [8, 8, 16, 16, 24, 32, 64], "aspp_out_channels": 16}
    return t.MobileViTForSemanticSegmentation(t.MobileViTConfig(**widths, num_attention_heads=2, **LABELS))


def mobilenet_v2():
    return t.MobileNetV2ForSemanticSegmentation(t.MobileNetV2Config(depth_multiplier=0.35, **LABELS))


def maskformer():
    detr = t.DetrConfig(d_model=32, decoder_layers=1, encoder_layers=1, decoder_attention_heads=2, num_queries=5,
                        encoder_attention_heads=2, decoder_ffn_dim=16, encoder_ffn_dim=16)  # fmt: skip
    sizes = {"fpn_feature_size": 32, "mask_feature_size": 32}
    return t.MaskFormerForInstanceSegmentation(
        t.MaskFormerConfig(backbone_config=swin(), decoder_config=detr, **sizes, **LABELS)
    )


def mask2former():
    config = t.Mask2FormerConfig(backbone_config=swin(), feature_size=32, mask_feature_size=32, **QUERIES, **LABELS)
    return t.Mask2FormerForUniversalSegmentation(config)


def oneformer():
    text = {"text_encoder_width": 16, "text_encoder_num_layers": 1, "text_encoder_proj_layers": 1, "task_seq_len": 10}
    config = t.OneFormerConfig(backbone_config=swin(), mask_dim=32, conv_dim=32, **text, **QUERIES, **LABELS)
    return t.OneFormerForUniversalSegmentation(config)


def eomt():
    blocks = {"num_blocks": 1, "num_upscale_blocks": 1, "num_register_tokens": 1, "num_queries": 5, "patch_size": 8}
    return t.EomtForUniversalSegmentation(t.EomtConfig(**blocks, **VIT, **LABELS))


def write(folder, net, processor=None):
    """The folder that `save_pretrained` fills, with a processor where one is given."""
    net.eval().save_pretrained(folder)
    if processor is not None:
        processor.save_pretrained(folder)
    return folder


def write_mini(folder, name, processor=None):
    """A bundled mini of transformers with its trained weights, as a checkpoint of transformers; returns the mini."""
    mini = load_model(name, device="cpu")
    mini.net.config.id2label = dict(enumerate(mini.classes.names))
    mini.net.config.label2id = {label: i for i, label in enumerate(mini.classes.names)}
    write(folder, mini.net, processor)
    return mini
