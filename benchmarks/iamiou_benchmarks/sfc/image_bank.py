"""The image bank of SFC: a few crops of every class, from which rare classes are shown more often.

Image bank re-sampling (IBR) of Zhao et al. (SFC), AAAI 2024, arXiv 2401.11719. What the bank holds follows from seed
and iteration; it is kept in the checkpoint, so that training goes on with the same crops.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from iamiou.errors import InputError
from iamiou_benchmarks.training.trainer import Batch, Sample


@dataclass(frozen=True)
class ImageBank:
    """So many crops of every class, the latest ones that showed it.

    Parameters
    ----------
    image : Tensor, float32 (classes, slots, 3, crop, crop)
    label : Tensor, uint8 (classes, slots, crop, crop)
        255 where the crop reaches beyond its image.
    classes : Tensor, float32 (classes, slots, classes)
        All classes that the crop's image shows.
    when : Tensor, int64 (classes, slots)
        The iteration in which a crop came; -1 where there is none.
    turn : Tensor, int64 (classes,)
        How many images of a class came so far.
    """

    image: Tensor
    label: Tensor
    classes: Tensor
    when: Tensor
    turn: Tensor

    @property
    def state(self) -> dict[str, Tensor]:
        """What has to survive an interruption."""
        return {f"bank.{name}": getattr(self, name) for name in ("image", "label", "classes", "when", "turn")}

    @property
    def nbytes(self) -> int:
        """Its memory; it does not change."""
        return sum(t.numel() * t.element_size() for t in self.state.values())

    def add(self, batch: Batch, iteration: int) -> None:
        """Put every image of a batch into the slots of all its classes, each in place of the oldest one."""
        slots = self.when.shape[1]
        for n, classes in enumerate(batch["classes"]):
            for c in torch.nonzero(classes).flatten().tolist():
                slot = int(self.turn[c]) % slots
                for name in ("image", "label", "classes"):
                    getattr(self, name)[c, slot].copy_(batch[name][n])
                self.when[c, slot] = iteration
                self.turn[c] += 1

    def draw(self, rng: np.random.Generator, count: int) -> Batch:
        """Draw crops with replacement: of a class at random among those that have one, a slot at random."""
        filled = (self.when >= 0).sum(1).numpy()
        classes = rng.choice(np.flatnonzero(filled), count)
        slots = rng.integers(0, filled[classes])
        at = torch.from_numpy(classes).to(self.image.device), torch.from_numpy(slots).to(self.image.device)
        return {"image": self.image[at], "label": self.label[at], "classes": self.classes[at]}

    def age(self, iteration: int) -> float:
        """Return the mean age of the crops in iterations: that of a drawn one, but for classes with empty slots."""
        there = self.when >= 0
        return float((iteration - self.when[there]).double().mean()) if there.any() else 0.0


def bank_bytes(classes: int, slots: int, crop: int) -> int:
    """Return the memory of a bank before it is made.

    >>> bank_bytes(20, 1, 512) / 2**20  # of VOC, as published
    65.001...
    """
    return classes * (slots * (13 * crop * crop + 4 * classes + 8) + 8)


def make_bank(classes: int, slots: int, crop: int, device: str, limit: float) -> ImageBank:
    """Make an empty bank.

    Parameters
    ----------
    device : str
        Where the crops lie; ``when`` and ``turn`` lie on the CPU.
    limit : float
        Most memory in GiB.

    Raises
    ------
    InputError
        If there is no slot, or it would take more memory than the limit.
    """
    if slots < 1:
        raise InputError(f"An image bank with {slots} slots a class holds nothing; draws = 0 goes without a bank.")
    if (needed := bank_bytes(classes, slots, crop)) > limit * 2**30:
        raise InputError(
            f"The image bank of {classes} classes, {slots} slots and crops of {crop} pixels takes {needed / 2**30:.2f} "
            f"GiB, more than bank_limit = {limit:g}; lower slots or crop, or raise bank_limit."
        )
    return ImageBank(
        torch.zeros(classes, slots, 3, crop, crop, device=device),
        torch.zeros(classes, slots, crop, crop, dtype=torch.uint8, device=device),
        torch.zeros(classes, slots, classes, device=device),
        torch.full((classes, slots), -1),
        torch.zeros(classes, dtype=torch.int64),
    )


def banked(sample: Sample, bank: ImageBank, draws: int, seed: int) -> Sample:
    """Return the micro-batches of `sample`, each with its part of the crops drawn after the whole batch went in.

    It has to be asked for one iteration after the other, as the trainer does.
    """

    def get(iteration: int) -> list[Batch]:
        batches = sample(iteration)
        for batch in batches:
            bank.add(batch, iteration)
        drawn = bank.draw(np.random.default_rng([seed, 3, iteration]), draws)
        count, device = len(batches), bank.image.device
        return [
            {name: torch.cat([batch[name].to(device), drawn[name][k::count]]) for name in drawn}
            for k, batch in enumerate(batches)
        ]

    return get
