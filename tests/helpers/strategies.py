"""Random test cases for hypothesis."""

import numpy as np
import torch
from hypothesis import strategies as st


@st.composite
def prediction_and_target(draw):
    """A prediction and a target with void and absent classes, sometimes without any pixel, and their class count."""
    classes = draw(st.integers(2, 21))
    used = draw(st.lists(st.integers(0, classes - 1), min_size=1, max_size=classes, unique=True))
    shape = draw(st.sampled_from([(0, 0), (1, 1), (3, 5), (16, 16), (33, 20)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from([np.uint8, np.int64]))
    pred, target = (rng.choice(used, shape).astype(dtype) for _ in range(2))
    target[rng.random(shape) < draw(st.sampled_from([0, 0.2, 1.0]))] = 255
    agree = rng.random(shape) < 0.6
    pred[agree & (target != 255)] = target[agree & (target != 255)]
    return torch.from_numpy(pred), torch.from_numpy(target), classes
