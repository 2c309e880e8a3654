"""Stage `segment`: train a segmentation network on pseudo-masks with CE, L_sw or L_sb.

One run without restart: plain cross-entropy up to `switch`, then L_sw, with EWC for L_sb (Mun et al., WACV 2024,
arXiv 2309.14117, whose program switches in the middle of 30,000 iterations). L_sw and L_sb share the schedule, so that
the difference between them is EWC alone; ``switch = 0.0`` trains L_sw from the start.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iamiou.errors import InputError
from iamiou_benchmarks.methods import classifier
from iamiou_benchmarks.networks.build import freeze, groups, make_backbone, seeded
from iamiou_benchmarks.networks.deeplab import DeepLab, at_size, make_deeplab
from iamiou_benchmarks.networks.weights import arrays_of, load_arrays
from iamiou_benchmarks.stage import artefacts
from iamiou_benchmarks.stage.options import ADDED, stage_options
from iamiou_benchmarks.stage.work import Work
from iamiou_benchmarks.training import ewc
from iamiou_benchmarks.training.batches import VOID, Cut, read_labels, sampler, shrunk
from iamiou_benchmarks.training.phases import check_phases, phased, scaled_cut, scaled_data, scaled_labels
from iamiou_benchmarks.training.size_weights import weighted_cross_entropy, weights_of
from iamiou_benchmarks.training.trainer import Batch, Objective, Sample, Schedule, train

VERSION = 1
INPUTS = ("pseudo", "classifier")
PARALLEL = True  # torchrun may train it with several processes
LOSSES = ("CE", "L_sw", "L_sb")


@dataclass(frozen=True)
class Options(Schedule):
    """Beside those of `Schedule`.

    Parameters
    ----------
    network, weights, stride : see `make_backbone`
        With no network the backbone is that of the stage `classifier`, with what it has learnt.
    head, rates, width : see `make_deeplab`
    factor : float
        How much faster the head learns than the backbone.
    crop, low, high : see `Cut`
    loss : {"CE", "L_sw", "L_sb"}
    tau : float
        Largest weight of a pixel.
    lambda_ : float
        Strength of EWC (``lambda`` in a run file).
    switch : float
        Share of the iterations after which L_sw, and EWC, begin.
    fisher : {"decay", "empirical"}
        The released form, or the mean of squared gradients of `fisher_images` single images at the switch.
    sizes : {"pseudo", "truth"}
        Whose components give the weights of L_sw; ``"truth"`` looks at the objects that people have marked on train.
    loss_stride : int
        Stride at which scores and labels meet; 0 is that of the scores, as in DeepLab. Components are found there.
    phases : tuple of (scale, share)
        Train on smaller copies first: each phase's scale of images, masks and crops, and its share of the iterations;
        none is one phase at full size. The rate falls over all phases as over one.
    phase_masks : {"majority", "nearest"}
        How masks become smaller; see `scaled_mask`.
    frozen : see `classifier`
    """

    network: str = ""
    weights: str = ""
    stride: int = 0
    head: str = "v2"
    rates: tuple[int, ...] = (1, 2, 4)
    width: int = 256
    factor: float = 10.0
    crop: int = 96
    low: float = 0.5
    high: float = 1.5
    loss: str = "CE"
    tau: float = 5.0
    lambda_: float = 20.0
    switch: float = 0.5
    fisher: str = "decay"
    fisher_images: int = 64
    sizes: str = "pseudo"
    loss_stride: int = 0
    phases: tuple[tuple[float, ...], ...] = field(default=(), metadata=ADDED)
    phase_masks: str = field(default="majority", metadata=ADDED)
    frozen: tuple[str, ...] = field(default=(), metadata=ADDED)

    @property
    def begin(self) -> int:
        """The iteration in which the second loss begins."""
        return self.iterations if self.loss == "CE" else round(self.iterations * self.switch)


def run(work: Work, options: Options) -> None:
    """Train the network and leave ``weights.npz``."""
    check(options)
    model = make_network(work, options)
    parts = groups(model.head, model.backbone, options.factor)
    sample = make_sample(work, options)
    train(work, model, parts, options, objective(model, options, sample), sample)
    artefacts.save(work.out / "weights.npz", "segmentation", arrays_of(model.state_dict()))
    network = options.network or stage_options(list(work.inputs.values())[1], classifier.Options).network
    artefacts.save(work.out / "network.npz", "network", {"name": np.array(network)})
    if options.sizes == "truth":
        work.notes.append(f"{work.log.stage}: the weights come from the sizes of the true objects of train")


def make_sample(work: Work, options: Options) -> Sample:
    """Return what gives the batches: crops of images and masks, in the sizes of the phases."""
    cut, ids = Cut(options.crop, options.low, options.high), work.data.splits["train"]

    def label(image_id: str) -> NDArray[np.uint8]:
        pseudo = read_labels(work.source / "labels" / f"{image_id}.png")
        return pseudo if options.sizes == "pseudo" else np.stack([pseudo, objects_of(work, image_id)], 2)

    def of_scale(scale: float) -> Sample:
        data = scaled_data(work.data, scale)
        mask = scaled_labels(label, scale, options.phase_masks)
        return sampler(data, ids, scaled_cut(cut, scale), work.seed, options.batch, options.accumulate, mask)

    return phased(of_scale, options.phases, options.iterations)


def objects_of(work: Work, image_id: str) -> NDArray[np.uint8]:
    """Return the numbers of the true objects of an image, 0 where there is none.

    Raises
    ------
    InputError
        If the data set has no instance masks.
    """
    instance = work.data.truth.load(image_id)[1]
    if instance is None:
        raise InputError(f'{work.data.name} has no masks of single objects, which sizes = "truth" needs.')
    numbers = instance.astype(np.int64)
    # Objects 254 numbers apart may share one: they are told apart by their components.
    out: NDArray[np.uint8] = np.where((numbers > 0) & (numbers != VOID), (numbers - 1) % 254 + 1, 0).astype(np.uint8)
    return out


def check(options: Options) -> None:
    """Refuse options that contradict each other."""
    check_phases(options.phases, options.phase_masks)
    if options.loss not in LOSSES:
        raise InputError(f"There is no loss '{options.loss}'; it can be {', '.join(LOSSES)}.")
    if options.sizes not in ("pseudo", "truth"):
        raise InputError(f"There are no sizes '{options.sizes}'; they can be pseudo or truth.")
    if options.fisher not in ("decay", "empirical"):
        raise InputError(f"There is no Fisher diagonal '{options.fisher}'; it can be decay or empirical.")
    if options.loss == "L_sb":
        if not 0 < options.switch < 1:
            raise InputError(
                f"L_sb needs a switch between 0 and 1, it is {options.switch}: EWC keeps what CE has learnt."
            )
        if options.optimiser == "sgd":
            ewc.check_stable(
                options.lambda_, options.lr * options.factor * options.rate(options.begin), options.momentum
            )


def make_network(work: Work, options: Options) -> DeepLab:
    """Make the network with the weights with which training begins."""
    seeded(work.seed)
    if options.network:
        backbone = make_backbone(options.network, options.weights, options.stride)
    elif len(work.inputs) > 1:
        backbone = classifier.load_backbone(list(work.inputs.values())[1], options.stride)
    else:
        raise InputError('segment needs a network, or a second input to take it from: ["pseudo", "classifier"].')
    freeze(backbone, options.frozen)
    return make_deeplab(backbone, options.head, len(work.data.classes), options.rates, options.width).to(work.device)


def load_network(work: Work, options: Options) -> DeepLab:
    """Make the network of a finished stage `segment`."""
    path, network = work.source / "weights.npz", options.network
    if not network:
        network = str(artefacts.load(path.with_name("network.npz"), "network")["name"])
    model = make_deeplab(
        make_backbone(network, "", options.stride), options.head, len(work.data.classes), options.rates, options.width
    )
    load_arrays(model, artefacts.load(path, "segmentation"), str(path))
    return model.to(work.device).eval()


def objective(model: DeepLab, options: Options, sample: Sample) -> Objective:
    """Return CE, then L_sw (and EWC), on labels brought to the size of the scores by their nearest pixels."""
    fisher = ewc.start_fisher(model) if options.loss == "L_sb" else {}
    anchor = {name: torch.zeros_like(tensor) for name, tensor in fisher.items()}
    stride = options.loss_stride or stride_of(model)

    def prepare(batch: Batch, iteration: int) -> tuple[Batch, Tensor]:
        small, objects = shrunk(batch["label"], stride), None
        if options.sizes == "truth":
            small, objects = small.unbind(3)
        weights = weights_of(small, options.tau if iteration >= options.begin else 0.0, objects)
        return {"image": batch["image"], "label": small.long(), "weights": weights}, weights.sum()[None]

    def loss(batch: Batch, denominators: Tensor) -> dict[str, Tensor]:
        scores = at_size(model(batch["image"]).float(), *batch["label"].shape[1:])
        return {"loss": weighted_cross_entropy(scores, batch["label"], batch["weights"]) / denominators[0].clamp_min(1)}

    def before_step(iteration: int) -> dict[str, float]:
        if options.loss != "L_sb":
            return {}
        if iteration < options.begin:
            ewc.decayed_fisher(model, fisher)
            return {}
        if iteration == options.begin:
            if options.fisher == "empirical":
                ewc.empirical_fisher(model, _single_losses(prepare, loss, sample, options), fisher)
            _settle(model, fisher, anchor)
        return {"penalty": ewc.add_penalty(model, fisher, anchor, options.lambda_)}

    state = {f"fisher.{k}": v for k, v in fisher.items()} | {f"anchor.{k}": v for k, v in anchor.items()}
    return Objective(prepare, loss, before_step, state)


def _single_losses(
    prepare: Callable[[Batch, int], tuple[Batch, Tensor]],
    loss: Callable[[Batch, Tensor], dict[str, Tensor]],
    sample: Sample,
    options: Options,
) -> Iterator[Callable[[], Tensor]]:
    """Yield the cross-entropy of single images: of the first iterations, or from the switch on if those are small."""
    left = options.fisher_images
    smaller = any(scale < 1 for scale, _ in options.phases)
    for iteration in itertools.count(options.begin if smaller else 0):
        for batch in sample(iteration):
            for k in range(min(left, len(batch["image"]))):
                one, weight = prepare({name: value[k : k + 1] for name, value in batch.items()}, -1)
                yield lambda one=one, weight=weight: loss(one, weight)["loss"]  # type: ignore[misc]  # no lambda is typed
            left -= min(left, len(batch["image"]))
            if not left:
                return


def _settle(model: DeepLab, fisher: dict[str, Tensor], anchor: dict[str, Tensor]) -> None:
    """Fix the Fisher diagonal and the anchor, in place."""
    ewc.scale_fisher(fisher)
    for name, parameter in model.named_parameters():
        if name in anchor:
            anchor[name].copy_(parameter.detach())


def stride_of(model: DeepLab) -> int:
    """Return the stride of the network's scores."""
    strides: tuple[int, ...] = model.backbone.strides  # type: ignore[assignment]  # untyped there
    return strides[-1]
