"""The one training loop; it knows neither a network nor a method.

Iteration t draws its images, crops and dropout from (seed, t) alone, and a loss is a sum of ratios whose
denominators are known from the labels. So a run that was interrupted goes on to the same weights, and several
processes, or micro-batches one after the other, give the gradient of the whole batch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from iamiou.errors import InputError
from iamiou_benchmarks.networks.weights import arrays_of, load_arrays
from iamiou_benchmarks.stage import artefacts
from iamiou_benchmarks.stage.work import Work
from iamiou_benchmarks.training import distributed

Batch = dict[str, Tensor]
Sample = Callable[[int], list[Batch]]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train: options that every training stage has.

    Parameters
    ----------
    iterations, batch : int
        Steps of the optimiser, and images a step, over all processes and micro-batches.
    accumulate : int
        Micro-batches a step.
    lr, power : float
        Rate of the first step, and the power of its decay (1 - t / iterations) ** power.
    warmup : int
        Steps over which the rate rises linearly from 0.
    optimiser : {"sgd", "adamw"}
    momentum, weight_decay, clip : float
        `clip` is the largest norm of the gradient; 0 does not clip.
    precision : {"float32", "bfloat16"}
        bfloat16 runs the network in mixed precision; faster only on processors and GPUs that know it.
    keep : int
        Steps between two checkpoints.
    """

    iterations: int = 500
    batch: int = 16
    accumulate: int = 1
    lr: float = 0.05
    power: float = 0.9
    warmup: int = 0
    optimiser: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 1e-4
    clip: float = 0.0
    precision: str = "float32"
    keep: int = 100

    def rate(self, iteration: int) -> float:
        """Return the share of the initial rate at a step."""
        rise = min(1.0, (iteration + 1) / self.warmup) if self.warmup else 1.0
        return float(rise * (1 - iteration / self.iterations) ** self.power)


def _nothing(_: int) -> dict[str, float]:
    return {}


@dataclass(frozen=True)
class Objective:
    """What a method asks of the trainer.

    Parameters
    ----------
    prepare : callable
        ``prepare(batch, iteration)`` gives the batch with all that follows from labels alone, and the denominators
        of the loss, a float tensor; those of all micro-batches and processes are added.
    loss : callable
        ``loss(batch, denominators)`` gives this batch's share of the losses; ``"loss"`` is differentiated.
    before_step : callable
        ``before_step(iteration)`` may change gradients once they are complete, and gives numbers to log.
    state : mapping of str to Tensor
        What beside the network and the optimiser has to survive an interruption.
    """

    prepare: Callable[[Batch, int], tuple[Batch, Tensor]]
    loss: Callable[[Batch, Tensor], dict[str, Tensor]]
    before_step: Callable[[int], dict[str, float]] = _nothing
    state: Mapping[str, Tensor] = field(default_factory=dict)


def train(
    work: Work,
    model: nn.Module,
    groups: list[dict[str, Any]],
    schedule: Schedule,
    objective: Objective,
    sample: Sample,
) -> None:
    """Train a network in place, from the checkpoint in ``work.out`` when there is one.

    Parameters
    ----------
    groups : list of dict
        Parameter groups; ``"factor"`` multiplies the rate of a group.
    sample : callable
        ``sample(iteration)`` gives the micro-batches of this process.

    Raises
    ------
    InputError
        If the loss is no longer finite.
    """
    optimiser = make_optimiser(groups, schedule)
    path = work.out / "checkpoint.npz"
    first = _restore(path, model, optimiser, objective) if path.exists() else 0
    work.log.rewind(first)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch types it for itself alone
    model.train()
    clock, seen = time.perf_counter(), 0
    for iteration in range(first, schedule.iterations):
        for group in optimiser.param_groups:
            group["lr"] = schedule.lr * group["factor"] * schedule.rate(iteration)
        torch.manual_seed(work.seed * 1_000_003 + iteration)
        values = _step(optimiser, schedule, objective, sample(iteration), iteration, work.device)
        seen += schedule.batch
        if not all(math.isfinite(v) for v in values.values()):
            kept = iteration // schedule.keep * schedule.keep
            last = f"the checkpoint of iteration {kept} is kept" if kept else "there is no checkpoint yet"
            raise InputError(
                f"The loss of the stage {work.log.stage} is no longer finite in iteration {iteration}; {last}. "
                f"Lower {work.log.stage}.lr with --set."
            )
        speed = seen / (time.perf_counter() - clock)
        work.log.tell(iteration + 1, schedule.iterations, f"loss {values['loss']:.4f}, {speed:.0f} images/s")
        if distributed.rank() == 0:
            if (iteration + 1) % 10 == 0 or iteration + 1 == schedule.iterations:
                work.log.write(iteration + 1, **values)
            if (iteration + 1) % schedule.keep == 0:
                _keep(path, model, optimiser, objective, iteration + 1)
    work.images += seen
    model.eval()
    path.unlink(missing_ok=True)


def make_optimiser(groups: list[dict[str, Any]], schedule: Schedule) -> torch.optim.Optimizer:
    """Make the optimiser that a schedule names."""
    groups = [{"factor": 1.0, "weight_decay": schedule.weight_decay, **g} for g in groups]
    if schedule.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=schedule.lr, momentum=schedule.momentum)
    if schedule.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=schedule.lr)
    raise InputError(f"There is no optimiser '{schedule.optimiser}'; it can be sgd or adamw.")


def _step(
    optimiser: torch.optim.Optimizer,
    schedule: Schedule,
    objective: Objective,
    batches: list[Batch],
    iteration: int,
    device: str,
) -> dict[str, float]:
    """Take one step; return the losses of the whole batch."""
    moved = [{k: _placed(v, device) for k, v in batch.items()} for batch in batches]
    prepared = [objective.prepare(batch, iteration) for batch in moved]
    denominators = distributed.added(torch.stack([weights for _, weights in prepared]).sum(0))
    optimiser.zero_grad(set_to_none=True)
    total: dict[str, Tensor] = {}
    for batch, _ in prepared:
        with precision(schedule.precision, device):
            losses = objective.loss(batch, denominators)
        losses["loss"].backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        for name, value in losses.items():
            total[name] = total.get(name, torch.zeros((), device=device)) + value.detach()
    learning = [p for g in optimiser.param_groups for p in g["params"] if p.grad is not None]
    distributed.add_gradients(learning)
    extra = objective.before_step(iteration)
    if schedule.clip:
        extra["gradient"] = float(nn.utils.clip_grad_norm_(learning, schedule.clip))
    optimiser.step()
    summed = distributed.added(torch.stack([v.float() for v in total.values()]))
    return dict(zip(total, summed.tolist(), strict=True)) | extra


def _placed(value: Tensor, device: str) -> Tensor:
    """Move a tensor; images get channels-last order, in which convolutions are faster."""
    return value.to(device, memory_format=torch.channels_last if value.dim() == 4 else torch.preserve_format)


def precision(name: str, device: str) -> torch.autocast:
    """Return the context in which a network runs in this precision.

    Raises
    ------
    InputError
        If there is no such precision.
    """
    if name not in ("float32", "bfloat16"):
        raise InputError(f"There is no precision '{name}'; it can be float32 or bfloat16.")
    return torch.autocast(device, torch.bfloat16, enabled=name == "bfloat16")


def _keep(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, objective: Objective, done: int) -> None:
    arrays = {f"model.{k}": v for k, v in arrays_of(model.state_dict()).items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors = {k: torch.as_tensor(v) for k, v in state.items() if v is not None}
        arrays |= {f"optimiser.{number}.{k}": v for k, v in arrays_of(tensors).items()}
    arrays |= {f"objective.{k}": v for k, v in arrays_of(objective.state).items()}
    arrays["iteration"] = np.array(done)
    artefacts.save(path, "checkpoint", arrays)


def _restore(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, objective: Objective) -> int:
    arrays = artefacts.load(path, "checkpoint")
    load_arrays(model, {k.removeprefix("model."): v for k, v in arrays.items() if k.startswith("model.")}, str(path))
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in arrays.items():
        if name.startswith("optimiser."):
            _, number, key = name.split(".", 2)
            state.setdefault(int(number), {})[key] = torch.from_numpy(value)
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    for name, tensor in objective.state.items():
        tensor.copy_(torch.from_numpy(arrays[f"objective.{name}"]))
    return int(arrays["iteration"])
