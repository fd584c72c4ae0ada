"""Conversion between torch, NumPy and TensorFlow: what goes in comes out as the same kind."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = Any  # torch.Tensor, numpy.ndarray or tensorflow.Tensor


def as_torch(array: Array) -> Tensor:
    """Any of the three kinds as a torch tensor, without a copy where that is possible."""
    if isinstance(array, Tensor):
        return array
    if not isinstance(array, np.ndarray):
        array = array.numpy() if hasattr(array, "numpy") else np.asarray(array)
    array = np.asarray(array)
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def like(result: Tensor, given: Array) -> Array:
    """A result as the kind of array that was given."""
    if isinstance(given, Tensor):
        return result.to(given.device)
    if type(given).__module__.startswith("tensorflow"):
        import tensorflow

        return tensorflow.convert_to_tensor(result.numpy())
    return result.numpy()
