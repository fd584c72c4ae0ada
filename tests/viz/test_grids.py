"""Small tables with the value in every cell."""

import numpy as np
import pandas as pd
import torch

from seglab import CLASS_SETS
from seglab.viz import grids


def test_cells_of_all_tables_have_one_size():
    narrow, wide = pd.DataFrame(np.eye(2), ["a", "b"], ["x", "y"]), pd.DataFrame(np.ones((1, 4)), ["c"], list("stuv"))
    left, right = grids.value_grid({"narrow": narrow, "wide": wide}).axes
    assert left.get_xlim() == right.get_xlim() == (-0.5, 3.5)
    assert left.get_ylim() == right.get_ylim() == (1.5, -0.5)
    assert [label.get_text() for label in left.get_xticklabels()] == ["x", "y"]
    masks = {"narrow": np.zeros((2, 1), int), "wide": np.zeros((1, 4), int)}
    left, right = grids.label_grid(masks).axes
    assert left.get_xlim() == right.get_xlim() == (-0.5, 3.5)
    assert left.get_ylim() == right.get_ylim() == (1.5, -0.5)


def test_labels_and_marks_are_in_their_cells():
    mask = torch.tensor([[0, -1], [255, 3]])
    (ax,) = grids.label_grid({"m": mask}, CLASS_SETS["street"], mark=torch.tensor([[0, 0], [1, 0]])).axes
    assert {(*map(int, text.get_position()), text.get_text()) for text in ax.texts} == {
        (0, 0, "0"), (0, 1, "255"), (1, 1, "3")
    }  # fmt: skip
    (frame,) = ax.patches
    assert frame.get_center().tolist() == [0, 1]
