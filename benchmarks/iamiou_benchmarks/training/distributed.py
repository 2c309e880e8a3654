"""Several processes (torchrun) as one: what has to be added is added, and the first process writes."""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
from torch import Tensor, distributed


def rank() -> int:
    """Return the number of this process; 0 where there is only one."""
    return int(os.environ.get("RANK", "0")) if size() > 1 else 0


def size() -> int:
    """Return the number of processes."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def join() -> None:
    """Meet the other processes, once."""
    if size() > 1 and not distributed.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def wait() -> None:
    """Wait until every process is here."""
    if size() > 1:
        join()
        distributed.barrier()


def added(values: Tensor) -> Tensor:
    """Add a tensor over all processes."""
    if size() > 1:
        join()
        values = values.clone()
        distributed.all_reduce(values)
    return values


def add_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Add the gradients over all processes, all in one message."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if size() > 1 and gradients:
        flat = added(torch.cat([g.reshape(-1) for g in gradients]))
        for gradient, part in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))
