"""Arrays of torch, NumPy, TensorFlow and Keras, in and out."""

import numpy as np
import pytest
import torch

from seglab.data.classes import CLASS_SETS
from seglab.masks.argmax import binary_mask, to_mask
from seglab.masks.arrays import as_torch, like
from seglab.masks.painting import colorize, label_map, outlines
from seglab.metrics.boundary import boundary_counts
from seglab.metrics.confusion import confusion_matrix


def test_keras_output_is_accepted():
    """Channels-last output of a Keras layer, as TensorFlow users have it."""
    keras = pytest.importorskip("keras", reason="Keras comes with TensorFlow in the `test` extra")
    out = keras.layers.Conv2D(5, 3, padding="same")(np.random.default_rng(0).random((2, 8, 9, 3), np.float32))
    mask = to_mask(out, channel_dim=-1)
    assert tuple(mask.shape) == (2, 8, 9)
    assert (np.asarray(mask) == keras.ops.convert_to_numpy(out).argmax(-1)).all()


def test_conversion_to_torch_and_back_keeps_kind_and_values(tf):
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    for given in (values, torch.from_numpy(values), tf.constant(values)):
        tensor = as_torch(given)
        assert torch.equal(tensor, torch.from_numpy(values))
        result = like(tensor, given)
        assert type(result) is type(given)
        assert (np.asarray(result) == values).all()


def test_numpy_memory_is_shared_unless_it_is_read_only():
    values = np.zeros(3, np.uint8)
    assert as_torch(values).data_ptr() == values.ctypes.data
    values.flags.writeable = False
    assert as_torch(values).data_ptr() != values.ctypes.data


LABELS = np.random.default_rng(0).choice(np.array([*range(11), 255], np.uint8), (12, 16))
FORMS = {
    **{kind: LABELS.astype(kind) for kind in ("u2", ">u2", "u4", ">u4", "<i8", ">i4", "u8", "i2")},
    "flipped": LABELS[::-1, ::-1].copy()[::-1, ::-1], "reversed": LABELS[:, ::-1].copy()[:, ::-1],
    "Fortran": np.asfortranarray(LABELS), "every second": np.repeat(LABELS, 2, axis=1)[:, ::2],
    **{str(kind): torch.from_numpy(LABELS).to(kind) for kind in (torch.uint16, torch.uint32, torch.uint64)},
    "sparse": torch.from_numpy(LABELS).to_sparse(), "transposed": torch.from_numpy(LABELS.T.copy()).T,
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_masks_of_every_integer_type_and_layout(form):
    mask, street = FORMS[form], CLASS_SETS["street"]
    assert (label_map(mask, street) == LABELS).all()
    assert (np.asarray(binary_mask(mask, 3)) == (LABELS == 3)).all()
    assert (np.asarray(outlines(mask)) == outlines(LABELS)).all()
    painted = np.asarray(colorize(mask, street))
    assert (painted == street.palette[LABELS].transpose(2, 0, 1) if isinstance(mask, torch.Tensor)
            else painted == street.palette[LABELS]).all()  # fmt: skip
    pred = np.where(LABELS == 255, 0, LABELS)
    assert torch.equal(confusion_matrix(pred, mask, 11), confusion_matrix(pred, LABELS, 11))
    assert (boundary_counts(pred, mask, 11) == boundary_counts(pred, LABELS, 11)).all()


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a"]),
        np.array([object()]),
        np.zeros(2, "M8[s]"),
        np.zeros(2, [("a", "u1")]),
        np.zeros(2, np.longdouble),
    ],
    ids=lambda array: str(array.dtype),
)
def test_arrays_that_are_no_numbers_of_torch_are_refused(array):
    if array.dtype == np.float64:
        pytest.skip("here, NumPy's long double is float64")
    with pytest.raises(ValueError, match="expected numbers, such as uint8"):
        as_torch(array)


def test_numbers_of_ml_dtypes(tf):
    scores = np.random.default_rng(0).random((3, 4, 5), np.float32)
    half = tf.constant(scores, tf.bfloat16)
    assert (as_torch(half).numpy() == tf.cast(half, tf.float32).numpy()).all()
