"""A Lightning trainer logs the metric over epochs: the numbers are those of the network's own predictions."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchmetrics")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # whatever it has to say about itself
    lightning = pytest.importorskip("lightning.pytorch")

from torchmetrics import MetricCollection  # noqa: E402

import iamiou  # noqa: E402
from iamiou.pairs import PairCounter, Rule  # noqa: E402
from iamiou.scores import headline  # noqa: E402
from iamiou.torchmetric import InstanceAwareIoU  # noqa: E402
from tests import fakes  # noqa: E402

SCENES = fakes.scenes(5, seed=3, shape=(60, 80), labels=(1, 2, 15))
NAMES = ("IA_S", "IA-mIoU", "mIoU")


def images():
    """Return what a data loader gives: picture, classes, instances and name."""
    maps = [(s.prediction.astype(np.int64), s.semantic.astype(np.int64), s.instance.astype(np.int64)) for s in SCENES]
    tensors = [tuple(torch.from_numpy(m) for m in each) for each in maps]
    return [
        (torch.nn.functional.one_hot(shown, 21).movedim(-1, 0).float(), semantic, instance, scene.id)
        for (shown, semantic, instance), scene in zip(tensors, SCENES, strict=True)
    ]


class Segmenter(lightning.LightningModule):
    """One layer that learns which colour is which class."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Conv2d(21, 21, 1)
        self.some = MetricCollection({name: InstanceAwareIoU("voc", score=name) for name in NAMES}, prefix="val/")
        self.all = InstanceAwareIoU("voc")
        self.truth, self.logged = [], []

    def training_step(self, batch, _):
        return torch.nn.functional.cross_entropy(self.layer(batch[0]), batch[1], ignore_index=255)

    def validation_step(self, batch, _):
        scores = self.layer(batch[0])
        self.some.update(scores, batch[1], instances=batch[2], image_ids=batch[3])
        self.log_dict(self.some)
        self.all.update(scores, *batch[1:])

    def on_validation_epoch_end(self):
        self.log_dict({f"all/{name}": value for name, value in self.all.compute().items()})
        self.all.reset()

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.05)


class Notes(lightning.Callback):
    """Notes after every validation what was logged, and what an evaluation without the metric gives."""

    def __init__(self):
        self.pairs = []

    def on_validation_end(self, trainer, module):
        counter = PairCounter(iamiou.load_classes("voc"), Rule())
        for scene, (shown, *_) in zip(SCENES, images(), strict=True):
            with torch.no_grad():
                labels = module.layer(shown[None]).argmax(1)[0].numpy()
            counter.add(scene.id, labels, scene.semantic, scene.instance)
        logged = {name: value.item() for name, value in trainer.callback_metrics.items()}
        if not trainer.sanity_checking:
            self.pairs.append((logged, headline(counter.counts())))


@pytest.mark.filterwarnings("ignore")  # advice on loggers and workers
def test_every_epoch_logs_the_scores_of_its_own_predictions(tmp_path):
    notes = Notes()
    keeper = lightning.callbacks.ModelCheckpoint(tmp_path, monitor="val/IA-mIoU", mode="max", filename="{epoch}")
    trainer = lightning.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        callbacks=[notes, keeper],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=1,
    )
    module = Segmenter()
    loader = torch.utils.data.DataLoader(images(), batch_size=2)
    trainer.fit(module, loader, loader)
    for logged, scores in notes.pairs:
        expected = {f"all/{name}": value for name, value in scores.items()}
        expected |= {f"val/{name}": scores[name] for name in NAMES}
        assert {k: v.hex() for k, v in logged.items() if k in expected} == {k: v.hex() for k, v in expected.items()}
    means = [scores["IA-mIoU"] for _, scores in notes.pairs]
    assert len(set(means)) > 1
    assert keeper.best_model_score.item() == max(means)
