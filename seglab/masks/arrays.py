"""Arrays of torch, NumPy and TensorFlow: the functions of `masks` return the kind of array that they are given."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = Any  # torch.Tensor, numpy.ndarray or tensorflow.Tensor

_SIGNED = {torch.uint16: torch.int32, torch.uint32: torch.int64, torch.uint64: torch.int64}


def as_torch(array: Array) -> Tensor:
    """The same values as a torch tensor.

    Memory is shared, except with arrays that are read-only, reversed or of a foreign byte order. Unsigned integers of
    16 bits and more become signed ones of twice as many bits, because torch computes little with them; sparse tensors
    become dense, and numbers with 8 bits after a point, which NumPy does not know, float32.

    Raises:
        ValueError: an array of texts, objects or another type that torch does not have.
    """
    if isinstance(array, Tensor):
        tensor = array if array.layout == torch.strided else array.to_dense()
    else:
        values = np.asarray(array.numpy() if hasattr(array, "numpy") else array)
        if values.dtype.kind == "V" and "float" in values.dtype.name:  # bfloat16 and float8 of ml_dtypes
            values = values.astype(np.float32)
        values = values.astype(values.dtype.newbyteorder("="), copy=not values.flags.writeable)
        if any(stride < 0 for stride in values.strides):
            values = values.copy()
        try:
            tensor = torch.from_numpy(values)
        except TypeError as error:
            raise ValueError(f"an array of {values.dtype}; expected numbers, such as uint8 or float32") from error
    return tensor.to(_SIGNED[tensor.dtype]) if tensor.dtype in _SIGNED else tensor


def like(result: Tensor, given: Array) -> Array:
    """`result` as the kind of array that `given` is; a torch tensor moves to the device of `given`."""
    if isinstance(given, Tensor):
        return result.to(given.device)
    if type(given).__module__.startswith("tensorflow"):
        import tensorflow

        return tensorflow.convert_to_tensor(result.numpy())
    return result.numpy()
