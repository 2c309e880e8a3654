"""Weights in and out: arrays of artefacts, .pth files without pickled code, .safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from iamiou.errors import InputError

_SHOWN = 3


def arrays_of(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[np.generic]]:
    """Return tensors as NumPy arrays."""
    return {name: t.detach().cpu().contiguous().numpy() for name, t in tensors.items()}


def load_arrays(model: nn.Module, arrays: Mapping[str, NDArray[np.generic]], source: str) -> None:
    """Load all weights of a network from arrays; see `load_tensors`."""
    load_tensors(model, {k: torch.from_numpy(np.array(v)) for k, v in arrays.items()}, source)


def load_tensors(model: nn.Module, tensors: Mapping[str, Tensor], source: str, *, leave: tuple[str, ...] = ()) -> None:
    """Load all weights of a network.

    Parameters
    ----------
    leave : tuple of str
        Beginnings of names in `tensors` that the network need not have, such as an ImageNet classifier.

    Raises
    ------
    InputError
        If tensors are missing, left over or of another shape; the first ones are named.
    """
    own = model.state_dict()
    given = {k: v for k, v in tensors.items() if k in own or not k.startswith(leave or ("\0",))}
    wrong = [
        f"{name} is {_shape(given[name])} there, {_shape(own[name])} here"
        for name in own
        if name in given and given[name].shape != own[name].shape
    ]
    wrong += [f"{name} is missing" for name in own if name not in given and not name.endswith("num_batches_tracked")]
    wrong += [f"{name} is not of this network" for name in given if name not in own]
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise InputError(
            f"The weights '{source}' are of another network: {'; '.join(wrong[:_SHOWN])}{more}. "
            "Name the network that they were made for, or other weights."
        )
    model.load_state_dict({**own, **given})


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a .pth (``weights_only``: no code in it is run) or .safetensors file.

    A file that holds more than the weights, like those of timm and of training programs, is looked into at
    ``model`` and ``state_dict``; a prefix ``module.`` of DataParallel is dropped.

    Raises
    ------
    InputError
        If there is no such file, or it holds no weights.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no weights file '{path}'; download it and name it, or leave weights = \"\".")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            found: Any = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:  # both fail in many ways on a file that is none
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise InputError(f"'{path}' holds no weights that can be read without running code in it ({reason}).") from e
    for key in ("model", "state_dict"):
        inner = found.get(key) if isinstance(found, dict) else None
        found = inner if isinstance(inner, dict) else found
    tensors = {str(k).removeprefix("module."): v for k, v in found.items() if isinstance(v, Tensor)}
    if not tensors:
        raise InputError(f"'{path}' holds no tensors; give a file of a network's weights.")
    return tensors


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a number"
