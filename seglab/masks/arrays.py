"""Arrays of torch, NumPy and TensorFlow: the functions of `masks` return the kind of array that they are given."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = Any  # torch.Tensor, numpy.ndarray or tensorflow.Tensor


def as_torch(array: Array) -> Tensor:
    """The same values as a torch tensor: without a copy, unless `array` is read-only or no copy-free way exists."""
    if isinstance(array, Tensor):
        return array
    values = np.asarray(array.numpy() if hasattr(array, "numpy") else array)
    return torch.from_numpy(values if values.flags.writeable else values.copy())


def like(result: Tensor, given: Array) -> Array:
    """`result` as the kind of array that `given` is; a torch tensor moves to the device of `given`."""
    if isinstance(given, Tensor):
        return result.to(given.device)
    if type(given).__module__.startswith("tensorflow"):
        import tensorflow

        return tensorflow.convert_to_tensor(result.numpy())
    return result.numpy()
