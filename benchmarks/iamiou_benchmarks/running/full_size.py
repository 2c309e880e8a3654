"""What a run asks of a GPU that nobody has measured yet: operations and memory, counted on tensors without content.

Every network of the run is built, and one step of it is taken on PyTorch's device ``meta``, which computes shapes and
nothing else: `FlopCounterMode` counts the operations of convolutions and matrix products, forward and backward, and a
hook sums what is kept for the backward pass. Neither data nor weights have to be there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from iamiou_benchmarks.cams.affinity import offsets
from iamiou_benchmarks.datasets.data import DataOptions
from iamiou_benchmarks.methods import irn, segment, sfc
from iamiou_benchmarks.networks.boundary import BoundaryNet
from iamiou_benchmarks.networks.build import Classifier, freeze, make_backbone
from iamiou_benchmarks.networks.calibrated import Calibrated
from iamiou_benchmarks.networks.deeplab import at_size, make_deeplab
from iamiou_benchmarks.networks.fcn import make_fcn
from iamiou_benchmarks.running.runfile import Run, Stage

#: Images of the lists that come with the data sets, and their usual size; a list of one's own counts as 1,000.
IMAGES = {"train_aug": 10582, "train": 1464, "val": 1449, "train2014": 82081, "val2014": 40137}
SIZES = {"voc": (375, 500), "coco": (480, 640)}
CLASSES = {"voc": 21, "coco": 81}
_OWN_LIST = 1000
#: Classes that an image shows, for what takes one map after the other.
_SHOWN = {"voc": 1.6, "coco": 2.9}


@dataclass(frozen=True)
class Load:
    """What one stage asks for.

    Parameters
    ----------
    stage : str
    operations : float
        Additions and multiplications of convolutions and matrix products, all iterations and images.
    images : float
        How often an image is read, scaled and cut.
    launches : float
        Small operations that take the GPU no longer than to be started: those of the random walk.
    memory : int
        Bytes on the GPU, at least: weights, gradients, what the optimiser keeps, and what one micro-batch keeps for the
        backward pass.
    batch, accumulate : int
        Of the stage that several GPUs can train; 0 of all others.
    """

    stage: str
    operations: float
    images: float = 0.0
    launches: float = 0.0
    memory: int = 0
    batch: int = 0
    accumulate: int = 0


@dataclass(frozen=True)
class _Data:
    """How many images of which size a run goes through, and how many classes they show.

    ``mapped`` are the images of train and dev together, of which class maps are made.
    """

    train: int
    dev: int
    test: int
    mapped: int
    size: tuple[int, int]
    classes: int
    shown: float


def known_size(options: DataOptions) -> bool:
    """Tell whether the size of the data is known without opening it."""
    return options.name in SIZES


def loads(run: Run) -> list[Load]:
    """Count what every stage of a run on VOC or COCO asks for."""
    o = run.data
    number = {split: IMAGES.get(getattr(o, split), _OWN_LIST) for split in ("train", "dev", "test")}
    within = (o.train, o.dev) == ("train_aug", "train")  # of VOC, where the one list holds the other
    mapped = number["train"] + (0 if within else number["dev"])
    data = _Data(**number, mapped=mapped, size=SIZES[o.name], classes=CLASSES[o.name], shown=_SHOWN[o.name])
    return [_load(run, stage, data) for stage in run.stages]


def _load(run: Run, stage: Stage, data: _Data) -> Load:
    made = {
        "classifier": _classifier,
        "sfc": _sfc,
        "cam": _cam,
        "attribution": _attribution,
        "orand": _orand,
        "irn": _irn,
        "segment": _segment,
        "predict": _predict,
    }.get(stage.method)
    return made(run, stage, data) if made else Load(stage.name, 0.0)


def _network(options: Any, data: _Data) -> Classifier:
    with torch.device("meta"):
        backbone = make_backbone(options.network, "", options.stride)
        freeze(backbone, options.frozen)
        return Classifier(backbone, data.classes - 1, options.pool)


def _classifier(_run: Run, stage: Stage, data: _Data) -> Load:
    o, model = stage.options, _network(stage.options, data)
    images = torch.empty(o.batch // o.accumulate, 3, o.crop, o.crop, device="meta")
    operations, memory = _step(model, o, lambda: model(images).sum())
    looked = data.dev + data.test
    operations = operations * o.iterations + looked * _forward(model, 1, data.size)
    return Load(stage.name, operations, o.iterations * o.batch + looked, memory=memory)


def _sfc(_run: Run, stage: Stage, data: _Data) -> Load:
    o = replace(stage.options, weights="")
    with torch.device("meta"):
        model = Calibrated(_network(o, data), o.sides, o.width, frozen_norm=o.frozen_norm)
    number = (o.batch + o.draws) // o.accumulate
    batch = {
        "image": torch.empty(number, 3, o.crop, o.crop, device="meta"),
        "label": torch.empty(number, o.crop, o.crop, dtype=torch.uint8, device="meta"),
        "classes": torch.empty(number, data.classes - 1, device="meta"),
    }
    goal = sfc.objective(model, o, torch.empty(data.classes - 1, device="meta"))
    prepared, denominators = goal.prepare(batch, o.iterations)
    operations, memory = _step(model, o, lambda: goal.loss(prepared, denominators)["loss"])
    looked = data.dev + data.test
    operations = operations * o.iterations + looked * _forward(model.network, 1, data.size)
    operations += data.mapped * sum(_forward(model, 2, data.size, scale) for scale in o.scales)
    return Load(stage.name, operations, o.iterations * o.batch + looked + data.mapped * len(o.scales), memory=memory)


def _cam(run: Run, stage: Stage, data: _Data) -> Load:
    model = _network(run.stage(stage.inputs[0]).options, data)
    each = _forward(model, 2, data.size) * sum(scale**2 for scale in stage.options.scales)
    return Load(stage.name, data.mapped * each, data.mapped * len(stage.options.scales))


def _attribution(run: Run, stage: Stage, data: _Data) -> Load:
    model = _network(run.stage(stage.inputs[0]).options, data)
    side = stage.options.size
    each = _forward(model, 1, (side, side) if side else data.size) * (1 + stage.options.flip)
    return Load(stage.name, data.mapped * each * (1 + 2 * data.shown), data.mapped)


def _orand(_run: Run, stage: Stage, data: _Data) -> Load:
    o = stage.options
    with torch.device("meta"):
        model = make_fcn(o.network)
    maps = torch.empty(max(1, round(o.batch * data.shown)), 1, *data.size, device="meta")
    operations, memory = _step(model, o, lambda: model(maps).sum())
    each = data.shown * _count(lambda: model(maps[:1]))
    return Load(stage.name, operations * o.iterations + data.mapped * each, memory=memory)


def _irn(run: Run, stage: Stage, data: _Data) -> Load:
    o = stage.options
    source = o if o.network else run.stage(stage.inputs[1]).options
    with torch.device("meta"):
        model = BoundaryNet(make_backbone(source.network, "", getattr(source, "stride", 0)))
    number = o.batch // o.accumulate
    images = torch.empty(number, 3, o.crop, o.crop, device="meta")
    labels = torch.empty(number, o.crop, o.crop, dtype=torch.uint8, device="meta")
    goal = irn.objective(model, o.radius)
    prepared, counts = goal.prepare({"image": images, "label": labels}, 0)
    operations, memory = _step(model, o, lambda: goal.loss(prepared, counts)["loss"])
    operations = operations * o.iterations + data.mapped * _forward(model, 2, data.size)
    launches = data.mapped * 2**o.exponent * 2 * len(offsets(o.walk_radius))
    return Load(stage.name, operations, o.iterations * o.batch + data.mapped, launches, memory)


def _segment(run: Run, stage: Stage, data: _Data) -> Load:
    o = stage.options
    source = o if o.network else run.stage(stage.inputs[1]).options
    with torch.device("meta"):
        backbone = make_backbone(source.network, "", o.stride)
        model = make_deeplab(backbone, o.head, data.classes, o.rates, o.width)
    stride = o.loss_stride or segment.stride_of(model)
    operations, memory = 0.0, 0
    for scale, share in o.phases or ((1.0, 1.0),):
        side = round(o.crop * scale)
        images = torch.empty(o.batch // o.accumulate, 3, side, side, device="meta")
        labels = torch.empty(len(images), *[-(-side // stride)] * 2, dtype=torch.int64, device="meta")
        each, kept = _step(model, o, partial(_crossed, model, images, labels))
        operations += each * o.accumulate * o.iterations * share
        memory = max(memory, kept)
    if o.loss == "L_sb":  # Fisher diagonal and anchor
        memory += 2 * _bytes(model, learning=True)
    return Load(stage.name, operations, o.iterations * o.batch, 0.0, memory, o.batch, o.accumulate)


def _crossed(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(at_size(model(images), *labels.shape[1:]), labels)


def _predict(run: Run, stage: Stage, data: _Data) -> Load:
    o, trained = stage.options, run.stage(stage.inputs[0]).options
    source = trained if trained.network else run.stage(run.stage(stage.inputs[0]).inputs[1]).options
    with torch.device("meta"):
        model = make_deeplab(
            make_backbone(source.network, "", trained.stride), trained.head, data.classes, trained.rates, trained.width
        )
    each = _forward(model, 1 + o.flip, data.size) * sum(scale**2 for scale in o.scales)
    return Load(stage.name, data.test * each, data.test * len(o.scales))


def _forward(model: nn.Module, number: int, size: tuple[int, int], scale: float = 1.0) -> float:
    """Count the operations of a look at images."""
    images = torch.empty(number, 3, *(round(n * scale) for n in size), device="meta")
    return _count(lambda: model.eval()(images))


def _count(what: Callable[[], Any]) -> float:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        what()
    return float(counter.get_total_flops())


def _step(model: nn.Module, options: Any, loss: Callable[[], Tensor]) -> tuple[float, int]:
    """Count the operations of one micro-batch, forward and backward, and the bytes that it needs at least."""
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor  # holding it, so that no other gets its number
        return tensor

    model.train()
    with FlopCounterMode(display=False) as counter, torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        loss().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    for parameter in model.parameters():
        kept.pop(parameter.untyped_storage()._cdata, None)
    activations = sum(t.untyped_storage().nbytes() for t in kept.values())
    states = 2 if options.optimiser == "adamw" else int(options.momentum > 0)
    memory = _bytes(model) + (1 + states) * _bytes(model, learning=True) + activations
    return float(counter.get_total_flops()), memory


def _bytes(model: nn.Module, *, learning: bool = False) -> int:
    return sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad or not learning)
