"""Stage method `sfc`: Shared Feature Calibration, a classifier whose maps are drawn towards those of prototypes.

Zhao et al., SFC: Shared Feature Calibration in Weakly Supervised Semantic Segmentation, AAAI 2024, arXiv 2401.11719.
M_W are the class maps of the classifier's weights, M_P those of class prototypes (`prototypes`). The bank shows rare
classes more often (`image_bank`), the distribution coefficient DC (`distribution`) weighs the classes, and the loss is

    L = L_cls + 1.6 mean DC |M_W - M_P| + 0.8 mean DC |down(M_W) y - M_W' y|

with M_W' of the image at half its size: the multi-scaled distribution-weighted consistency L_P + L_W. Prototypes are
made of detached features, so M_W moves towards M_P with the backbone, and M_P only by its own projections. The stage
leaves what the stages `classifier` and `cam` leave and takes the place of both. It may begin with a finished stage
`classifier` (``inputs``), where there are no weights of another data set to begin with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from iamiou.errors import InputError
from iamiou_benchmarks.cams.seeds import score_seeds
from iamiou_benchmarks.methods import classifier
from iamiou_benchmarks.networks.build import groups
from iamiou_benchmarks.networks.calibrated import Calibrated, View
from iamiou_benchmarks.networks.weights import arrays_of, load_arrays
from iamiou_benchmarks.sfc.calibrated_maps import MapOptions, check_maps, write_maps
from iamiou_benchmarks.sfc.distribution import class_groups, distribution_coefficient, extra_samples, image_counts
from iamiou_benchmarks.sfc.image_bank import ImageBank, bank_bytes, banked, make_bank
from iamiou_benchmarks.sfc.prototypes import correlated, of_maximum_1, prototype_maps, seeds_of, with_background
from iamiou_benchmarks.sfc.shared_gradients import SharedGradients, make_shared_gradients
from iamiou_benchmarks.stage import artefacts
from iamiou_benchmarks.stage.work import Work
from iamiou_benchmarks.training.batches import VOID, Cut, sampler
from iamiou_benchmarks.training.trainer import Batch, Objective, train

VERSION = 1
INPUTS: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options(classifier.Options, MapOptions):
    """Beside those of `classifier` and of `MapOptions`; the defaults are the published values.

    Parameters
    ----------
    sides : tuple of int
        Channels to which the backbone's deepest levels are projected for the hierarchical features.
    width : int
        Channels of the features for the pixel correlation; 0 is those of the deepest level.
    frozen_norm : bool
        Batch norm uses its stored statistics also in training; ResNet and EfficientNet-Lite0 do so anyway.
    weight_p, weight_w : float
        Of L_P and of L_W; 0 leaves the term out.
    begin : float
        Share of the iterations before L_P and L_W come in.
    small : float
        Second scale of the training image; 0 leaves it out.
    weighted : bool
        Weigh classes by DC; else all alike.
    extra : float
        E of DC; below 0 it is steps of an epoch x `draws` / classes x `extra_factor`.
    extra_factor : float
        The published program has 3, without a reason.
    draws : int
        Crops a step out of the image bank, beside `batch`; 0 goes without a bank.
    slots : int
        Crops that the bank keeps of a class.
    bank : {"cpu", "device"}
        Where the bank lies; ``"device"`` is that of the network.
    bank_limit : float
        Most memory of the bank in GiB.
    flip : bool
        Mirror every second image. The only data loader ever published has mirroring and scaling commented out: false,
        with low = high = 1.
    gradients : bool
        Log how the loss pushes weights of frequent and rare classes on shared features; see `SharedGradients`.
    clip : see `Schedule`
    """

    sides: tuple[int, ...] = (128, 128, 256, 256)
    width: int = 0
    frozen_norm: bool = False
    weight_p: float = 1.6
    weight_w: float = 0.8
    begin: float = 0.0
    small: float = 0.5
    weighted: bool = True
    extra: float = -1.0
    extra_factor: float = 3.0
    draws: int = 4
    slots: int = 1
    bank: str = "cpu"
    bank_limit: float = 4.0
    flip: bool = True
    gradients: bool = False
    clip: float = 1.0


def run(work: Work, options: Options) -> None:
    """Leave ``weights.npz`` as `classifier`, ``maps/ID.npz`` as `cam`, and ``heads.npz``; score both."""
    check(options)
    path = work.out / "weights.npz"
    if not path.exists():
        model = make_network(work, options)
        fit(work, model, options)
        artefacts.save(work.out / "heads.npz", "sfc-heads", arrays_of(model.heads.state_dict()))
        artefacts.save(path, "classifier", arrays_of(model.network.state_dict()))
    model = load_network(work, options, work.out)  # also right after training: its memory lies otherwise then
    work.log.rewind(options.iterations)
    for split in ("dev", "test"):
        ap = classifier.average_precision(work, model.network, options, split)
        work.log.write(options.iterations + 1, **{f"{split}_map": ap})
        work.scores[split] = {"mAP": round(ap, 6)}
    write_maps(work, model, options, options.precision)
    score_seeds(work, options.threshold, options.select)
    if options.draws:
        work.scores["train"]["bank_bytes"] = bank_bytes(len(work.data.classes) - 1, options.slots, options.crop)


def check(options: Options) -> None:
    """Refuse options that contradict each other."""
    check_maps(options)
    if options.pool != "mean":
        raise InputError('sfc needs class maps, which a classifier of the class token has not; set pool = "mean".')
    if options.weight_w and not options.small:
        raise InputError("L_W compares two scales: give small a size such as 0.5, or set weight_w = 0.")
    if options.bank not in ("cpu", "device"):
        raise InputError(f"The image bank cannot lie in '{options.bank}'; it can be cpu or device.")


def make_network(work: Work, options: Options) -> Calibrated:
    """Make the network with the weights with which training begins.

    The classifier is that of a finished stage `classifier` where there is one in ``inputs``; else it begins as there.
    """
    network = classifier.make_classifier(work, options)
    if work.inputs:
        path = work.source / "weights.npz"
        load_arrays(network, artefacts.load(path, "classifier"), str(path))
    model = Calibrated(network, options.sides, options.width, frozen_norm=options.frozen_norm)
    return model.to(work.device)


def load_network(work: Work, options: Options, folder: Path) -> Calibrated:
    """Make the network of a stage `sfc` that has trained."""
    network = classifier.make_classifier(work, replace(options, weights=""))
    model = Calibrated(network, options.sides, options.width, frozen_norm=options.frozen_norm).to(work.device)
    for part, name, kind in ((model.network, "weights.npz", "classifier"), (model.heads, "heads.npz", "sfc-heads")):
        load_arrays(part, artefacts.load(folder / name, kind), str(folder / name))
    return model.eval()


def fit(work: Work, model: Calibrated, options: Options) -> None:
    """Train with the image bank and the classes' weights, both from the image labels of train."""
    ids, counts = work.data.splits["train"], image_counts(work.data)
    cut = Cut(options.crop, options.low, options.high, options.flip)
    seed, bank, shared = classifier.drawn(work.seed, options.draw), None, None
    sample = sampler(work.data, ids, cut, seed, options.batch, options.accumulate)
    if options.draws:
        where = work.device if options.bank == "device" else "cpu"
        bank = make_bank(len(counts), options.slots, options.crop, where, options.bank_limit)
        sample = banked(sample, bank, options.draws, seed)
    if options.gradients:
        shared = make_shared_gradients(class_groups(counts), model.network.classifier.in_channels, work.device)
    extra = extra_samples(len(ids), options.batch, options.draws, len(counts), options.extra_factor)
    extra = extra if options.extra < 0 else options.extra
    weights = distribution_coefficient(counts, extra) if options.weighted else np.ones(len(counts))
    kept = {"images": counts, "weights": weights, "extra": np.array(extra)}
    artefacts.save(work.out / "distribution.npz", "distribution", kept)
    goal = objective(model, options, torch.tensor(weights, dtype=torch.float32, device=work.device), bank, shared)
    new = nn.ModuleList([model.network.classifier, model.sides, model.pixels])
    train(work, model, groups(new, model.network.backbone, options.factor), options, goal, sample)


def objective(
    model: Calibrated,
    options: Options,
    weights: Tensor,
    bank: ImageBank | None = None,
    shared: SharedGradients | None = None,
) -> Objective:
    """Return L_cls + L_P + L_W; each is a mean over the images of the whole batch, drawn ones included.

    Parameters
    ----------
    weights : Tensor, float32 (C - 1,)
        DC.
    bank, shared : optional
        What is logged and kept beside.
    """

    def prepare(batch: Batch, iteration: int) -> tuple[Batch, Tensor]:
        classes = batch["classes"]
        number = torch.tensor([classes.numel()], dtype=torch.float32, device=classes.device)
        calibrating = torch.tensor(iteration >= round(options.iterations * options.begin))
        inside = (batch["label"] != VOID)[:, None].float()
        return {"image": batch["image"], "classes": classes, "inside": inside, "calibrating": calibrating}, number

    def loss(batch: Batch, denominators: Tensor) -> dict[str, Tensor]:
        views = [model(batch["image"])]
        if options.small:
            views.append(model(halved(batch["image"], options.small)))
        if shared:
            shared.watch(views[0].deep.detach().mean((2, 3)), batch["classes"])
        costs = [soft_margin(view.scores, batch["classes"]) / denominators[0] for view in views]
        losses = {"L_cls": sum(costs[1:], costs[0]) / len(costs)}
        if batch["calibrating"] and (options.weight_p or options.weight_w):
            images = denominators[0] / len(weights)
            losses |= {k: v / images for k, v in consistency(views, batch, weights, options).items()}
        parts = list(losses.values())
        return {"loss": sum(parts[1:], parts[0]), **losses}

    def before_step(iteration: int) -> dict[str, float]:
        values = {} if bank is None else {"bank_age": bank.age(iteration), "bank_bytes": float(bank.nbytes)}
        gradient = model.network.classifier.weight.grad
        if shared and gradient is not None:
            values |= shared.measure(gradient.flatten(1))
        return values

    state = (bank.state if bank else {}) | (shared.state if shared else {})
    return Objective(prepare, loss, before_step, state)


def soft_margin(scores: Tensor, classes: Tensor) -> Tensor:
    """Return the sum over images and classes of the binary cross-entropies."""
    return functional.binary_cross_entropy_with_logits(scores, classes, reduction="sum")


def consistency(views: list[View], batch: Batch, weights: Tensor, options: Options) -> dict[str, Tensor]:
    """Return L_P and L_W as sums over the images, those of them that are asked for."""
    found = {}
    maps = [classifier_maps(view, batch["inside"], batch["classes"], options.correlations) for view in views]
    if options.weight_p:
        mask = mask_of(batch["inside"], batch["classes"], maps[0].shape[2:])
        seeds = seeds_of(maps[0].detach(), mask, options.seed_background)
        near = of_maximum_1(prototype_maps(views[0].hierarchical, seeds))
        found["L_P"] = options.weight_p * gap_of_prototypes(maps[0], near, weights)
    if options.weight_w:
        found["L_W"] = options.weight_w * gap_of_scales(maps[0], maps[1], batch["classes"], weights)
    return found


def classifier_maps(view: View, inside: Tensor, classes: Tensor, times: int) -> Tensor:
    """Return M_W, (N, C, h, w): background and classes of the image, through the pixel correlation."""
    maps = with_background(view.raw)
    return correlated(maps * mask_of(inside, classes, maps.shape[2:]), view.pixels, times)


def mask_of(inside: Tensor, classes: Tensor, size: torch.Size) -> Tensor:
    """Return where there is image, (N, C, h, w), and for a class where besides the image shows it."""
    small = functional.interpolate(inside, size, mode="nearest")
    return torch.cat([small, small * classes[:, :, None, None]], 1)


def gap_of_prototypes(maps: Tensor, prototypes: Tensor, weights: Tensor) -> Tensor:
    """L_P: sum over images of the mean over the C classes and pixels of DC |M_W - M_P|; the background has DC 1."""
    every = torch.cat([torch.ones_like(weights[:1]), weights])
    return ((maps - prototypes).abs() * every[:, None, None]).mean((1, 2, 3)).sum()


def gap_of_scales(maps: Tensor, small: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    """L_W: sum over images of the mean over the C - 1 classes and pixels of DC |down(M_W) y - M_W' y|."""
    down = functional.interpolate(maps, small.shape[2:], mode="bilinear", align_corners=True)
    gap = (down - small)[:, 1:].abs() * classes[:, :, None, None]
    return (gap * weights[:, None, None]).mean((1, 2, 3)).sum()


def halved(images: Tensor, scale: float) -> Tensor:
    """Return images at another scale, as the published program resizes its batch."""
    size = [max(1, round(n * scale)) for n in images.shape[2:]]
    return functional.interpolate(images, size, mode="bilinear", align_corners=True)
