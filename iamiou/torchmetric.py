"""The metric for training loops: a torchmetrics Metric whose scores are those of ``iamiou score``."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from iamiou.errors import ImageError, InputError, Problem, ProblemsFound, counted, group, name_some
from iamiou.labels import VOC, ClassList, load_classes
from iamiou.pairs import Map, PairCounter, as_labels, warnings_of
from iamiou.records import Merged, merge_rows, nothing, pack
from iamiou.report import dataset_digest, map_digest
from iamiou.scores import DEFAULT_BINS, headline, of_pixels
from iamiou.settings import Settings

try:
    import torch
    from torch import Tensor
    from torchmetrics import Metric

    from iamiou.tensors import Maps, arrays, names_of, with_void
except ImportError as e:
    raise ImportError("The metric for training loops needs torchmetrics; type: pip install 'iamiou[torch]'") from e

if TYPE_CHECKING:
    from iamiou.counts import Counts, Ints
    from iamiou.report import Report


class InstanceAwareIoU(Metric):
    """Instance-aware mIoU and its companions over everything that was given to ``update``.

    The state is int64: the counts of every image, under its id. Processes, merged metrics and checkpoints therefore
    give the scores of one process to the last bit, and an image that a sampler repeats counts once.

    Parameters
    ----------
    classes : {"voc", "coco"}, path, ClassList or int
        Names of the classes, or only how many there are, background (label 0) included.
    score : str, optional
        One of the names in `iamiou.scores.headline`: ``compute`` returns this score instead of all.
    ignore_index : int, optional
        The label that means void, in semantic and instance maps of the truth, whatever their dtype. Without it, 255;
        in uint16 maps, and in wider ones when there are more than 255 classes, 65535.
    bins : tuple of int
        Sides in pixels of the squares that part the size bins.
    pred_void : {"error", "background"}
        What void in predicted labels means.
    components : {"nested", "plain"}
        The paper's rule, or plain connected components.
    connectivity : {8, 4}
        Neighbours that connect; 4 only with ``"plain"``.
    metrics : {"all", "miou"}
        ``"miou"`` leaves out everything instance-aware.
    **kwargs
        Those of `torchmetrics.Metric`: ``dist_sync_on_step``, ``process_group``, ``sync_on_compute`` ...

    Raises
    ------
    InputError
        If an option has a value that it cannot have.

    Examples
    --------
    Two instances of one class share the false positives of the component that covers both:

    >>> truth, pred = torch.zeros(2, 1, 40, 40, dtype=torch.long)
    >>> truth[:, 5:15, 5:15] = 1
    >>> truth[:, 5:15, 20:25] = 2
    >>> pred[:, 5:15, 5:25] = 1
    >>> metric = InstanceAwareIoU("voc")
    >>> metric.update(pred, truth > 0, truth, image_ids=["2007_000033"])
    >>> metric.update(pred, truth > 0, truth, image_ids=["2007_000033"])  # repeated to fill the last batch
    >>> round(metric.compute()["IA_S"].item(), 6)
    0.754728
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0
    records: list[Tensor]

    def __init__(
        self,
        classes: str | Path | ClassList | int = VOC,
        *,
        score: str | None = None,
        ignore_index: int | None = None,
        bins: tuple[int, ...] = DEFAULT_BINS,
        pred_void: str = "error",
        components: str = "nested",
        connectivity: int = 8,
        metrics: str = "all",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(classes, int):
            classes = ClassList("numbers", ("background", *(str(k) for k in range(1, classes))))
        self.class_list, self.score, self.ignore_index = load_classes(classes), score, ignore_index
        self.settings = Settings(
            bins=tuple(bins), pred_void=pred_void, components=components, connectivity=connectivity, metrics=metrics
        )
        # What is counted depends on these; bins and score only choose what is computed from it, so that torchmetrics
        # may let metrics of a collection that differ in nothing else share one state.
        self._rule = zlib.crc32(repr((self.class_list.names, self.settings.rule, ignore_index)).encode())
        self._warned: set[str] = set()
        self.add_state("records", [], dist_reduce_fx=None)
        known = self._scores(merge_rows(nothing(self._rule), len(self.class_list), self._rule).counts)
        if score is not None and score not in known:
            raise InputError(f"There is no score '{score}'; the scores are {', '.join(known)}.")

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # Dynamo would make torch of NumPy
    def update(
        self,
        preds: Maps,
        target: Maps,
        instances: Maps | None = None,
        image_ids: Sequence[str | int] | Tensor | None = None,
    ) -> None:
        """Count a batch of B images; all of it or, if anything is wrong with it, nothing.

        Parameters
        ----------
        preds : tensor or list of tensors
            Predicted labels, integer (B, H, W), or scores of the C classes, floating point (B, C, H, W), of which the
            largest wins, the first of equals. A list holds (H, W) or (C, H, W) tensors, of any sizes. Any device.
        target : tensor or list of tensors
            Ground-truth classes, integer (B, H, W) or a list of (H, W), of the size of ``preds``; 0 is background.
        instances : tensor or list of tensors, optional
            Ground-truth instance ids, likewise; 0 is background. Without them connected components of ``target``
            stand in. For every image of the data set or for none.
        image_ids : sequence of str or int, or integer tensor, (B,), optional
            Names of the images. An image that comes again, here or in another process, counts once; without ids
            every image is taken for a new one.

        Raises
        ------
        InputError
            If a type, shape, dtype or label does not fit, with every such image named.
        """
        classes = len(self.class_list)
        truth = arrays(target, "target", classes)
        predicted = arrays(preds, "preds", classes, scores=True)
        objects = None if instances is None else arrays(instances, "instances", classes)
        names = None if image_ids is None else names_of(image_ids)
        for role, given in (("preds", predicted), ("instances", objects), ("image_ids", names)):
            if given is not None and len(given) != len(truth):
                raise InputError(f"{role} is of {len(given)} images and target of {len(truth)}; give as many.")
        rows, errors, oddities = [], [], list[ImageError]()
        for k, semantic in enumerate(truth):
            instance, name = objects[k] if objects else None, names[k] if names else None
            try:
                rows.append(self._row(predicted[k], semantic, instance, name, f"number {k} of the batch", oddities))
            except ImageError as e:
                errors.append(e)
        if errors:
            raise ProblemsFound(group(errors))
        self._warn_once(warnings_of(oddities))
        self.records.append(torch.from_numpy(np.concatenate(rows or [nothing(self._rule)])).to(self.device))

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def compute(self) -> dict[str, Tensor] | Tensor:
        """Compute the scores of all images so far, in all processes.

        Returns
        -------
        dict of str to tensor, or tensor
            What `iamiou.scores.headline` gives, by name, or the one ``score``: float64 scalars (float32 on MPS, which
            has no float64) on the metric's device. NaN where undefined, so all of them before the first image.

        Raises
        ------
        InputError
            If an id came with more than one ground truth, or only some images with instances.
        """
        scores = self._scores(self._merged().counts)
        dtype = torch.float32 if self.device.type == "mps" else torch.float64
        tensors = {k: torch.tensor(v, dtype=dtype, device=self.device) for k, v in scores.items()}
        return tensors[self.score] if self.score else tensors

    def report(self, *, bootstrap: int = 1000, seed: int = 0) -> Report:
        """Return what ``iamiou score`` would: scores, intervals, classes and instances, to print, save and compare.

        Where there are several processes all of them must call it, as with ``compute``.

        Parameters
        ----------
        bootstrap : int
            Resamples for the intervals; 0 for none.
        seed : int
            Seed of the resampling.

        Returns
        -------
        Report
            Its digest is that of the same data set on disk. What was odd about an image was a warning in ``update``.
        """
        from iamiou.evaluation import make_report

        with self.sync_context(dist_sync_fn=self.dist_sync_fn, should_sync=self._to_sync):
            found = self._merged()
        chosen = replace(self.settings, bootstrap=bootstrap, seed=seed)
        digest = dataset_digest(self.class_list, found.hashes)
        return make_report(found.counts, self.class_list, chosen, digest, found.instances_from)

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Merge the states of all processes; every one brings one tensor, also if it saw no image."""
        self.records = [self._flat()]
        super().sync(*args, **kwargs)

    def merge_state(self, incoming_state: dict[str, Any] | Metric) -> None:
        """Add the state of another metric, and forget what was computed without it."""
        super().merge_state(incoming_state)
        self._renew()

    def set_dtype(self, dst_type: str | torch.dtype) -> InstanceAwareIoU:  # noqa: ARG002
        """Do nothing: counts stay int64."""
        return self

    def _apply(self, *args: Any, **kwargs: Any) -> torch.nn.Module:
        """Move the state, and forget what was computed rather than round it to the dtype of a model."""
        this = super()._apply(*args, **kwargs)
        self._computed = None
        return this

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._renew()

    def _copy_state_dict(self) -> dict[str, Tensor | list[Any]]:
        """Copy the list alone: its tensors never change, and copying them made every ``forward`` cost all before it."""
        return {"records": list(self.records)}

    def _renew(self) -> None:
        """Own the list of rows, which may have come from elsewhere, and forget what was computed before."""
        self.records = [rows.to(self.device) for rows in self.records]
        self._computed, self._update_count = None, max(self._update_count, len(self.records))

    def _flat(self) -> Tensor:
        rows = [rows.to(self.device) for rows in self.records]
        return torch.cat(rows) if rows else torch.from_numpy(nothing(self._rule)).to(self.device)

    def _merged(self) -> Merged:
        try:
            found = merge_rows(self._flat().cpu().numpy(), len(self.class_list), self._rule)
        except InputError:
            if self._is_synced:  # torchmetrics would leave every process with the state of all
                self.unsync()
            raise
        if found.differing:
            warnings.warn(
                f"{counted(len(found.differing), 'image')} came more than once with different predictions, of which "
                f"one is counted: {name_some(found.differing)}. Was reset() forgotten after an epoch?",
                stacklevel=2,
            )
        return found

    def _scores(self, counts: Counts) -> dict[str, float]:
        scores = headline(counts, self.settings.bins)
        return of_pixels(scores) if self.settings.metrics == "miou" else scores

    def _row(
        self, pred: Map, semantic: Map, instance: Map | None, name: str | None, place: str, oddities: list[ImageError]
    ) -> Ints:
        """Count one image."""
        known = place if name is None else name
        void = known, len(self.class_list), self.ignore_index
        semantic = as_labels(with_void(semantic, *void), known, "ground truth")
        if instance is not None:
            instance = as_labels(with_void(instance, *void), known, "instance map", largest=2**31 - 1)
        counter = PairCounter(self.class_list, self.settings.rule)
        counter.add(known, pred, semantic, instance)
        oddities += counter.oddities
        return pack(name, counter.counts(), map_digest(semantic), map_digest(instance), self._rule)

    def _warn_once(self, problems: Sequence[Problem]) -> None:
        """Warn of what is odd when it is met first, not with every batch."""
        for problem in problems:
            if problem.kind not in self._warned:
                self._warned.add(problem.kind)
                warnings.warn(str(problem), stacklevel=3)
