"""Stage method `irn`: learn boundaries from confident seeds, and let the class maps walk inside them.

Ahn et al., Weakly Supervised Learning of Instance Segmentation with Inter-pixel Relations, CVPR 2019, arXiv 1904.05044.
For semantic masks; the displacement field and instance masks are left out. Pairs reach to the border of the crop,
where the published program leaves out a margin. The loss is a sum of means over all pairs of the whole batch, however
it is parted among processes, so that training on several GPUs is training on one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from iamiou.errors import InputError
from iamiou.masks import write_label_map
from iamiou_benchmarks.cams.affinity import affinities, partners, walk
from iamiou_benchmarks.cams.maps import ClassMaps, best_class, load_maps
from iamiou_benchmarks.cams.seeds import score_seeds
from iamiou_benchmarks.datasets.data import Image
from iamiou_benchmarks.methods import classifier
from iamiou_benchmarks.networks.boundary import BoundaryNet
from iamiou_benchmarks.networks.build import make_backbone, seeded
from iamiou_benchmarks.networks.weights import arrays_of, load_arrays
from iamiou_benchmarks.stage import artefacts
from iamiou_benchmarks.stage.options import ADDED
from iamiou_benchmarks.stage.scoring import ids_of
from iamiou_benchmarks.stage.work import Work
from iamiou_benchmarks.training.batches import VOID, Cut, normalised, read_labels, sampler, scaled, shrunk
from iamiou_benchmarks.training.trainer import Batch, Objective, Schedule, precision, train

VERSION = 1
INPUTS = ("cam", "classifier")


@dataclass(frozen=True)
class Options(Schedule):
    """Beside those of `Schedule`; the published ones are radius 10 in training and 5 in the walk.

    Parameters
    ----------
    network, weights : str
        The frozen backbone; with no network it is that of the classifier.
    foreground, background : float
        A pixel is of a class where its score is above the first, background where none is above the second, and
        left out between the two.
    relative : bool
        The two are multiples of the threshold that the class maps carry: one rule for maps of any kind.
    radius, walk_radius : int
        Reach of pairs in training and of the walk, in pixels of the boundary map.
    beta : float
    exponent : int
        The walk takes 2 ** exponent steps.
    crf : bool
        Refine the confident labels with a dense CRF, which needs the extra ``crf``.
    threshold, select : see `cam`
    crop, low, high : see `Cut`
    scale : float
        Whole images are looked at in this size, and the maps walk there.
    """

    network: str = ""
    weights: str = ""
    foreground: float = 0.30
    background: float = 0.05
    radius: int = 10
    walk_radius: int = 5
    beta: float = 10.0
    exponent: int = 8
    crf: bool = False
    threshold: float = 0.25
    select: str = "fixed"
    crop: int = 512
    low: float = 0.5
    high: float = 1.5
    relative: bool = field(default=False, metadata=ADDED)
    scale: float = field(default=1.0, metadata=ADDED)


def run(work: Work, options: Options) -> None:
    """Leave ``boundary.npz`` and ``maps/ID.npz`` of train and dev, and score the refined maps."""
    if len(work.inputs) < 2 and not options.network:
        raise InputError('irn takes class maps and a classifier: inputs = ["cam", "classifier"], or name a network.')
    write_confident(work, options)
    model = make_network(work, options)
    path = work.out / "boundary.npz"
    if path.exists():
        load_arrays(model, artefacts.load(path, "boundary"), str(path))
    else:
        sample = sampler(
            work.data,
            work.data.splits["train"],
            Cut(options.crop, options.low, options.high),
            work.seed,
            options.batch,
            options.accumulate,
            lambda image_id: read_labels(work.out / "confident" / f"{image_id}.png"),
        )
        learning = [p for p in model.parameters() if p.requires_grad]
        train(work, model, [{"params": learning}], options, objective(model, options.radius), sample)
        artefacts.save(path, "boundary", arrays_of(model.state_dict()))
    model.eval()

    @torch.inference_mode()
    def raw(images: Tensor) -> Tensor:
        with precision(options.precision, work.device):
            scores: Tensor = model(images.to(work.device)).float()
            return scores

    for image_id, where in work.each(ids_of(("train", "dev"), work.data), work.out / "maps", ".npz"):
        maps = load_maps(work.source / "maps" / f"{image_id}.npz")
        image = work.data.read(image_id)
        refined(maps, boundary_of(raw, scaled(image, options.scale)), image.shape[:2], options).save(where)
    if not options.crf:
        work.notes.append(f"{work.log.stage}: no dense CRF on the confident labels")
    score_seeds(work, options.threshold, options.select)


def make_network(work: Work, options: Options) -> BoundaryNet:
    """Make the boundary network on the frozen backbone."""
    seeded(work.seed)
    if options.network:
        return BoundaryNet(make_backbone(options.network, options.weights)).to(work.device)
    return BoundaryNet(classifier.load_backbone(list(work.inputs.values())[1])).to(work.device)


def write_confident(work: Work, options: Options) -> None:
    """Write the labels from which affinities are learnt, ``confident/ID.png``."""
    for image_id in work.data.splits["train"]:
        path = work.out / "confident" / f"{image_id}.png"
        path.parent.mkdir(exist_ok=True)
        if path.exists():
            continue
        maps = load_maps(work.source / "maps" / f"{image_id}.npz")
        (label, score), unit = best_class(maps), maps.threshold if options.relative else 1.0
        sure, perhaps = (np.where(score > unit * t, label, 0) for t in (options.foreground, options.background))
        if options.crf:
            from iamiou_benchmarks.cams.crf import of_labels

            image = work.data.read(image_id)
            sure, perhaps = (of_labels(image, x.astype(np.uint8)) for x in (sure, perhaps))
        write_label_map(path, confident(sure, perhaps))


def confident(sure: NDArray[np.integer], perhaps: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Merge two label maps, made with a high and a low background score (section 3.1 of the paper).

    >>> confident(np.array([[3, 0, 0]]), np.array([[3, 0, 3]])).tolist()
    [[3, 0, 255]]
    """
    out: NDArray[np.uint8] = np.where(sure > 0, sure, np.where(perhaps > 0, VOID, 0)).astype(np.uint8)
    return out


def objective(model: BoundaryNet, radius: int) -> Objective:
    """Return the affinity loss (eq. 6 to 9): means over like pairs, in background and in objects, and unlike ones."""

    def prepare(batch: Batch, _: int) -> tuple[Batch, Tensor]:
        labels = shrunk(batch["label"], first_stride(model)).float()
        other = partners(labels, radius, VOID)
        mine = labels[:, None]
        valid = (mine != VOID) & (other != VOID)
        ground, same = valid & (mine == other) & (mine == 0), valid & (mine == other) & (mine > 0)
        differ = valid & (mine != other)
        counts = torch.stack([pairs.sum() for pairs in (ground, same, differ)]).float()
        return {"image": batch["image"], "ground": ground, "same": same, "differ": differ}, counts

    def loss(batch: Batch, denominators: Tensor) -> dict[str, Tensor]:
        affinity = affinities(model(batch["image"]).float().sigmoid(), radius)
        near, far = -torch.log(affinity + 1e-5), -torch.log(1 + 1e-5 - affinity)
        means = [
            torch.where(batch[name], cost, 0).sum() / denominators[k].clamp_min(1)
            for k, (name, cost) in enumerate((("ground", near), ("same", near), ("differ", far)))
        ]
        alike, unlike = (means[0] + means[1]) / 2, means[2]
        return {"loss": (alike + unlike) / 2, "alike": alike, "unlike": unlike}

    return Objective(prepare, loss)


def first_stride(model: BoundaryNet) -> int:
    """Return the stride of the boundary map."""
    strides: tuple[int, ...] = model.backbone.strides  # type: ignore[assignment]  # untyped there
    return strides[0]


def boundary_of(raw: Callable[[Tensor], Tensor], image: Image) -> Tensor:
    """Return the boundary map of an image, the mean score of it and of its mirror image, after the sigmoid."""
    x = torch.from_numpy(normalised(image))
    scores = raw(torch.stack([x, x.flip(-1)]))
    return ((scores[0] + scores[1].flip(-1)) / 2).sigmoid()


def refined(maps: ClassMaps, boundary: Tensor, shape: tuple[int, ...], options: Options) -> ClassMaps:
    """Let class maps walk, and bring them to full size with the maximum over all classes at 1."""
    if not len(maps.fg_ids):
        return maps
    strided = torch.from_numpy(maps.strided).to(boundary.device)
    if strided.shape[1:] != boundary.shape:
        strided = functional.interpolate(strided[None], boundary.shape, mode="bilinear", align_corners=False)[0]
    moved = walk(strided, boundary, radius=options.walk_radius, beta=options.beta, steps=2**options.exponent)
    full = functional.interpolate(moved[None], shape[:2], mode="bilinear", align_corners=False)[0].cpu()
    full = full / full.max().clamp_min(1e-5)
    return ClassMaps(maps.fg_ids, moved.cpu().numpy(), full.numpy(), options.threshold)
