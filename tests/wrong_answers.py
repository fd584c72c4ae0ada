"""Answers that each exercise's check has to refuse: notebook → exercise → code that stands in for the stub."""

WRONG_ANSWERS: dict[str, dict[str, list[str]]] = {
    "01_problem_setup": {
        "take_apart": [
            "def take_apart(panoptic): return np.stack([panoptic % 1000, panoptic // 1000])",  # the wrong way round
            "def take_apart(panoptic): return np.stack([panoptic / 1000, panoptic % 1000])",  # no whole numbers
            "def take_apart(panoptic): return panoptic // 1000",  # half of it
            "def take_apart(panoptic):\n    panoptic //= 1000\n    return np.stack([panoptic, panoptic])",
        ],
        "shares": [
            "def shares(mask, num_classes): return np.bincount(mask.ravel(), minlength=256)[:num_classes] / mask.size",
            "def shares(mask, num_classes): return np.bincount(mask[mask != 255], minlength=num_classes)",  # counts
            "def shares(mask, num_classes): return np.ones(num_classes) / num_classes",
            "def shares(mask, num_classes): return [(mask == k).mean() for k in range(num_classes)]",  # void counted
        ],
        "enlarge": [
            "def enlarge(mask, factor): return np.tile(mask, (factor, factor))",  # copies side by side
            "def enlarge(mask, factor): return mask.repeat(factor, axis=0)",  # one side only
            "def enlarge(mask, factor):\n"
            "    scores = torch.tensor(mask)[None, None].float()\n"
            "    return interpolate(scores, scale_factor=factor, mode='bilinear')[0, 0].numpy().astype('uint8')",
        ],
    },
}
