"""Stage `probe`: a linear classifier on the features of a frozen network, which a trained classifier has to beat.

Alain and Bengio, Understanding Intermediate Layers Using Linear Classifier Probes, arXiv 1610.01644. The features are
those of the deepest level, averaged over the image; the weight decay is the one with the highest mean average
precision on dev, by image labels alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from iamiou_benchmarks.networks.build import features, make_backbone, seeded
from iamiou_benchmarks.stage import artefacts
from iamiou_benchmarks.stage.scoring import mean_average_precision
from iamiou_benchmarks.stage.work import Work
from iamiou_benchmarks.training.batches import normalised

VERSION = 1
INPUTS: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options:
    """Options of the stage.

    Parameters
    ----------
    network, weights : str
        See `make_backbone`.
    stride : int
        Of the deepest features; 0 is the network's default.
    decays : tuple of float
        Weight decays to choose from, on features of mean 0 and variance 1.
    """

    network: str = "efficientnet-lite0"
    weights: str = "pretrained"
    stride: int = 0
    decays: tuple[float, ...] = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)


def run(work: Work, options: Options) -> None:
    """Fit the classifier and leave ``weights.npz``; score its mean average precision on dev and on test."""
    known = {split: seen(work, options, split) for split in ("train", "dev", "test")}
    center, scale = known["train"].mean(0), known["train"].std(0) + 1e-6
    x = {split: (each - center) / scale for split, each in known.items()}
    y = {split: np.stack([work.data.multi_hot(i) for i in work.data.splits[split]]) for split in known}
    target = torch.from_numpy(y["train"])
    best = max(
        (fitted(x["train"], target, decay) for decay in options.decays),
        key=lambda w: mean_average_precision(scored(w, x["dev"]), y["dev"]),
    )
    names = {"weight": best, "center": center, "scale": scale}
    artefacts.save(work.out / "weights.npz", "probe", {name: each.numpy() for name, each in names.items()})
    for split in ("dev", "test"):
        work.scores[split] = {"mAP": round(mean_average_precision(scored(best, x[split]), y[split]), 6)}


@torch.inference_mode()
def seen(work: Work, options: Options, split: str) -> Tensor:
    """Return the averaged features of a split's images, float32 (N, channels)."""
    seeded(work.seed)
    network = make_backbone(options.network, options.weights, options.stride).to(work.device).eval()
    rows = []
    for k, image_id in enumerate(work.data.splits[split]):
        image = torch.from_numpy(normalised(work.data.read(image_id)))[None].to(work.device)
        rows.append(features(network, image)[-1].float().mean((2, 3))[0].cpu())
        work.log.tell(k + 1, len(work.data.splits[split]), f"of {split}")
    work.images += len(rows)
    return torch.stack(rows)


def fitted(x: Tensor, y: Tensor, decay: float) -> Tensor:
    """Return the weights, (1 + channels, C - 1), bias first, that minimise binary cross entropy and weight decay.

    >>> w = fitted(torch.tensor([[-1.0], [1.0]]), torch.tensor([[0.0], [1.0]]), 0.01)
    >>> bool(w[1, 0] > 1), round(float(w[0, 0]), 3)
    (True, 0.0)
    """
    weight = torch.zeros((1 + x.shape[1], y.shape[1]), requires_grad=True)
    solver = torch.optim.LBFGS([weight], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        solver.zero_grad()
        scores = weight[0] + x @ weight[1:]
        loss = functional.binary_cross_entropy_with_logits(scores, y) + decay * weight[1:].square().sum() / y.shape[1]
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return loss

    solver.step(closure)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return weight.detach()


def scored(weight: Tensor, x: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return the scores of images by their features, (N, C - 1)."""
    found: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = (weight[0] + x @ weight[1:]).numpy()
    return found
