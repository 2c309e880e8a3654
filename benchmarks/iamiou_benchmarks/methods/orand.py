"""Stage method `orand`: a network that learns to make, from the OR of class maps, their AND, and refines OR with it.

ORANDNet, AAAI EIW 2024, arXiv 2406.19638. Every class map passes alone through a network that knows no class: what two
classifiers agree upon can be told from the shape of what either of them says. Its inputs are the stages from whose maps
and to whose maps it learns, two of `combine`. The loss of the paper is not known; that of its program is a cross
entropy over the classes that an image shows, which is 0 for one class, so that most images teach nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from iamiou.errors import InputError
from iamiou_benchmarks.cams.maps import ClassMaps, Maps, load_maps, strided
from iamiou_benchmarks.cams.seeds import score_seeds
from iamiou_benchmarks.methods.combine import together
from iamiou_benchmarks.networks.build import seeded
from iamiou_benchmarks.networks.fcn import make_fcn
from iamiou_benchmarks.networks.weights import arrays_of, load_arrays
from iamiou_benchmarks.stage import artefacts
from iamiou_benchmarks.stage.scoring import ids_of
from iamiou_benchmarks.stage.work import Work
from iamiou_benchmarks.training.batches import ahead, kept
from iamiou_benchmarks.training.trainer import Batch, Objective, Sample, Schedule, precision, train

VERSION = 1
INPUTS = ("or", "and")
LOSSES = ("bce", "official_ce")
Pair = NDArray[np.float16]


@dataclass(frozen=True)
class Options(Schedule):
    """Beside those of `Schedule`; the program takes fcn8s, batch 1, lr 0.001 without momentum, 5,000 iterations.

    Parameters
    ----------
    network, weights : str
        See `make_fcn`.
    loss : {"bce", "official_ce"}
        The binary cross entropy of every pixel, or the program's cross entropy over the classes of an image.
    output : {"", "sigmoid", "relu"}
        What makes scores of the network's output; "" is the sigmoid with ``"bce"`` and the ReLU, the program's, else.
    stride, threshold, select : see `cam`
    """

    network: str = "small-fcn"
    weights: str = ""
    loss: str = "bce"
    output: str = ""
    stride: int = 4
    threshold: float = 0.3
    select: str = "fixed"


def run(work: Work, options: Options) -> None:
    """Leave ``refiner.npz`` and ``maps/ID.npz`` of train and dev, and score the refined maps."""
    check(options, len(work.inputs))
    seeded(work.seed)
    model, path = make_fcn(options.network, options.weights).to(work.device), work.out / "refiner.npz"
    if path.exists():
        load_arrays(model, artefacts.load(path, "refiner"), str(path))
    else:
        ids = [i for i in work.data.splits["train"] if work.data.labels[i]]
        sample = pair_sampler(pairs_in(list(work.inputs.values())), ids, work.seed, options.batch)
        learning = [{"params": list(model.parameters())}]
        train(work, model, learning, options, objective(model, options.loss), sample)
        artefacts.save(path, "refiner", arrays_of(model.state_dict()))
    model.eval()
    for image_id, where in work.each(ids_of(("train", "dev"), work.data), work.out / "maps", ".npz"):
        maps = load_maps(work.source / "maps" / f"{image_id}.npz")
        full = refined(model, maps.full, options, work.device)
        ClassMaps(maps.fg_ids, strided(full, options.stride), full, options.threshold).save(where)
    score_seeds(work, options.threshold, options.select)


def check(options: Options, inputs: int) -> None:
    """Refuse options that there are not, and another number of inputs than two."""
    if inputs != 2:
        raise InputError(f'orand takes two stages, those of OR and AND, not {inputs}: inputs = ["or", "and"].')
    if options.loss not in LOSSES:
        raise InputError(f"There is no loss '{options.loss}' of orand; it can be {' or '.join(LOSSES)}.")
    if options.output not in ("", "sigmoid", "relu"):
        raise InputError(f"There is no output '{options.output}' of orand; it can be sigmoid or relu.")
    if options.accumulate != 1:
        raise InputError("orand takes its images in one batch, or one by one where their sizes differ; see batch.")


def pairs_in(folders: Sequence[Path]) -> Callable[[str], Pair]:
    """Return a function that reads the two maps of an image, (2, K, H, W) with 16 bits."""
    return lambda image_id: together(folders, image_id)[1].astype(np.float16)


def pair_sampler(pairs: Callable[[str], Pair], ids: Sequence[str], seed: int, batch: int) -> Sample:
    """Return a function that makes the micro-batches of an iteration: images of one size together.

    Each has ``from`` and ``to`` (M, 1, H, W), the maps of all its images one after the other, and ``counts``, how many
    are of each image. Every epoch is a new order of the images.

    Raises
    ------
    InputError
        If there is no image.
    """
    if not ids:
        raise InputError("There are no images to train on; see the list of the split 'train'.")
    read = kept(pairs)

    @lru_cache(maxsize=2)
    def order(epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([seed, 1, epoch]).permutation(len(ids))

    def make(iteration: int) -> list[Batch]:
        sizes: dict[tuple[int, ...], list[Pair]] = {}
        for place in range(batch):
            epoch, at = divmod(iteration * batch + place, len(ids))
            pair = read(ids[int(order(epoch)[at])])
            sizes.setdefault(pair.shape[2:], []).append(pair)
        return [_batch(same) for same in sizes.values()]

    return ahead(make)


def _batch(pairs: list[Pair]) -> Batch:
    maps = torch.from_numpy(np.concatenate(pairs, 1).astype(np.float32))[:, :, None]
    return {"from": maps[0], "to": maps[1], "counts": torch.tensor([pair.shape[1] for pair in pairs])}


def objective(model: nn.Module, loss: str) -> Objective:
    """Return the mean over pixels of the binary cross entropy, or the program's cross entropy.

    The latter is the mean over images and pixels of - sum over classes of AND * log softmax over the classes: with one
    class the softmax is 1 whatever the network says.
    """

    def prepare(batch: Batch, _: int) -> tuple[Batch, Tensor]:
        height, width = batch["from"].shape[2:]
        number = len(batch["from"]) if loss == "bce" else len(batch["counts"])
        return batch, torch.tensor([number * height * width], dtype=torch.float32, device=batch["from"].device)

    def cost(batch: Batch, denominators: Tensor) -> dict[str, Tensor]:
        out, goal = model(batch["from"]).float(), batch["to"]
        if loss == "bce":
            total = functional.binary_cross_entropy_with_logits(out, goal, reduction="sum")
        else:
            counts = batch["counts"].tolist()
            each = zip(torch.split(out, counts), torch.split(goal, counts), strict=True)
            total = torch.stack([-(aim * scores.log_softmax(0)).sum() for scores, aim in each]).sum()
        return {"loss": total / denominators[0]}

    return Objective(prepare, cost)


@torch.inference_mode()
def refined(model: nn.Module, maps: Maps, options: Options, device: str) -> Maps:
    """Return the network's scores of the maps of an image, (K, H, W), each class divided by its maximum."""
    if not len(maps):
        return maps
    with precision(options.precision, device):
        out = model(torch.from_numpy(maps)[:, None].to(device)).float()[:, 0]
    sigmoid = options.output == "sigmoid" or (not options.output and options.loss == "bce")
    scores = out.sigmoid() if sigmoid else functional.relu(out)
    found: Maps = (scores / (scores.amax((1, 2), keepdim=True) + 1e-5)).cpu().numpy()
    return found
