"""Arrays of torch, NumPy, TensorFlow and Keras, in and out."""

import numpy as np
import pytest
import torch

from seglab.masks.argmax import to_mask
from seglab.masks.arrays import as_torch, like


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
