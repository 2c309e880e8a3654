"""Stage `classifier`: learn which classes an image shows, from image labels alone.

The defaults of IRN's code base for VOC (Ahn et al., CVPR 2019, arXiv 1904.05044) are lr 0.1, factor 10, batch 16,
5 epochs, long side 320 to 640, crop 512, momentum 0: its wrapper hands the weight decay to SGD as momentum.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from iamiou_benchmarks.networks.build import Classifier, freeze, groups, make_backbone, seeded
from iamiou_benchmarks.networks.weights import arrays_of, load_arrays
from iamiou_benchmarks.stage import artefacts
from iamiou_benchmarks.stage.options import ADDED, stage_options
from iamiou_benchmarks.stage.scoring import mean_average_precision
from iamiou_benchmarks.stage.work import Work
from iamiou_benchmarks.training.batches import Cut, normalised, sampler, scaled
from iamiou_benchmarks.training.trainer import Batch, Objective, Schedule, precision, train

VERSION = 1
INPUTS: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options(Schedule):
    """Beside those of `Schedule`.

    Parameters
    ----------
    network, weights : str
        See `make_backbone`.
    stride : int
        Of the deepest features; 0 is the network's default.
    frozen : tuple of str
        Beginnings of the names of the backbone's weights that do not learn; IRN's code base freezes a ResNet up to its
        second layer: ``["conv1", "bn1", "layer1", "layer2"]``.
    factor : float
        How much faster the classifier learns than the backbone.
    crop, low, high : see `Cut`
    pool : {"mean", "token"}
        What is classified: the mean over the image, or the class token of a transformer; see `Classifier`.
    draw : int
        Another number draws other first weights and batches under the same seed: for a second classifier of one kind.
    scale : float
        Whole images are looked at in this size when precision is measured: that of the crops it learnt from.
    """

    network: str = "small-cnn"
    weights: str = ""
    stride: int = 0
    frozen: tuple[str, ...] = ()
    factor: float = 1.0
    crop: int = 96
    low: float = 1.0
    high: float = 1.0
    pool: str = field(default="mean", metadata=ADDED)
    draw: int = field(default=0, metadata=ADDED)
    scale: float = field(default=1.0, metadata=ADDED)


def run(work: Work, options: Options) -> None:
    """Train the classifier and leave ``weights.npz``; score its mean average precision on dev and on test."""
    model, path = make_classifier(work, options), work.out / "weights.npz"
    if path.exists():
        load_arrays(model, artefacts.load(path, "classifier"), str(path))
        model.eval()
    else:
        cut = Cut(options.crop, options.low, options.high)
        seed = drawn(work.seed, options.draw)
        sample = sampler(work.data, work.data.splits["train"], cut, seed, options.batch, options.accumulate)
        train(work, model, groups(model.classifier, model.backbone, options.factor), options, objective(model), sample)
        artefacts.save(path, "classifier", arrays_of(model.state_dict()))
    if not options.weights and not work.data.name.startswith("shapes"):
        work.notes.append(f"{work.log.stage}: {options.network} had random weights at first, no pretrained ones")
    for split in ("dev", "test"):
        ap = average_precision(work, model, options, split)
        work.log.write(options.iterations, **{f"{split}_map": ap})
        work.scores[split] = {"mAP": round(ap, 6)}


def make_classifier(work: Work, options: Options) -> Classifier:
    """Make the network with the weights with which training begins."""
    seeded(drawn(work.seed, options.draw))
    backbone = make_backbone(options.network, options.weights, options.stride)
    freeze(backbone, options.frozen)
    return Classifier(backbone, len(work.data.classes) - 1, options.pool).to(work.device)


def drawn(seed: int, draw: int) -> int:
    """Return the seed of another draw; number 0 is the run's own.

    >>> drawn(3, 0), drawn(3, 1)
    (3, 1000003)
    """
    return seed + 1_000_000 * draw


def load_classifier(work: Work, options: Options) -> Classifier:
    """Make the network of a finished stage `classifier`."""
    seeded(work.seed)
    backbone = make_backbone(options.network, "", options.stride)
    model = Classifier(backbone, len(work.data.classes) - 1, options.pool)
    path = work.source / "weights.npz"
    load_arrays(model, artefacts.load(path, "classifier"), str(path))
    return model.to(work.device).eval()


def load_backbone(folder: Path, stride: int = 0) -> nn.Module:
    """Make the backbone of a finished stage `classifier`, perhaps at another stride."""
    trained = stage_options(folder, Options)
    backbone = make_backbone(trained.network, "", stride or trained.stride)
    weights = artefacts.load(folder / "weights.npz", "classifier")
    own = {k.removeprefix("backbone."): v for k, v in weights.items() if k.startswith("backbone.")}
    load_arrays(backbone, own, str(folder / "weights.npz"))
    return backbone


def objective(model: nn.Module) -> Objective:
    """Return the multi-label soft-margin loss: the mean over images and classes of the binary cross entropies."""

    def prepare(batch: Batch, _: int) -> tuple[Batch, Tensor]:
        return batch, torch.tensor([batch["classes"].numel()], dtype=torch.float32, device=batch["image"].device)

    def loss(batch: Batch, denominators: Tensor) -> dict[str, Tensor]:
        scores = model(batch["image"]).float()
        total = functional.binary_cross_entropy_with_logits(scores, batch["classes"], reduction="sum")
        return {"loss": total / denominators[0]}

    return Objective(prepare, loss)


@torch.inference_mode()
def average_precision(work: Work, model: nn.Module, options: Options, split: str) -> float:
    """Return the mean average precision on the images of a split."""
    ids, scores = work.data.splits[split], []
    for image_id in ids:
        image = torch.from_numpy(normalised(scaled(work.data.read(image_id), options.scale)))[None].to(work.device)
        with precision(options.precision, work.device):
            scores.append(model(image).float().cpu().numpy()[0])
    return mean_average_precision(np.stack(scores), np.stack([work.data.multi_hot(i) for i in ids]))
