"""ORANDNet: OR and AND, attribution against slow arithmetic, what each loss teaches, and runs from end to end."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from iamiou.errors import InputError  # noqa: E402
from iamiou_benchmarks.maps import ClassMaps, load_maps  # noqa: E402
from iamiou_benchmarks.methods import attribution, combine, orand  # noqa: E402
from iamiou_benchmarks.networks.build import Classifier, make_backbone  # noqa: E402
from iamiou_benchmarks.networks.fcn import Fcn8s, SmallFcn, load_vgg16, make_fcn  # noqa: E402
from iamiou_benchmarks.networks.vit import VisionTransformer  # noqa: E402
from iamiou_benchmarks.pipeline import execute, run_stage  # noqa: E402
from tests.benchmarks.small_runs import kill_run, little  # noqa: E402

#: Makes any run with ORANDNet little.
CHANGES = (
    "data.preset=tiny",
    *(f"{stage}.{change}" for stage in ("vit", "orand") for change in ("iterations=6", "batch=4", "keep=2")),
    "vit.crop=32",
)
torch.set_num_threads(1)  # little work, which several threads only slow down
IRN = ("irn.iterations=4", "irn.batch=4", "irn.crop=32", "irn.exponent=2")


# OR, AND and the mean


@pytest.mark.parametrize("inputs", [2, 3, 4])
def test_or_and_bounds_and_de_morgan(inputs):
    maps = np.random.default_rng(inputs).random((inputs, 3, 20, 20))
    maps[0, 0, 0] = 0
    maps[1, 0, 1] = 1
    both, either, slack = combine.common(maps), combine.united(maps), 1e-12
    assert (both >= 0).all() and (either <= 1 + slack).all()
    assert (both <= maps.min(0) + slack).all() and (either >= maps.max(0) - slack).all()
    assert np.allclose(either, 1 - combine.common(1 - maps), atol=1e-12)
    if inputs == 2:
        assert np.allclose(either, maps[0] + maps[1] - maps[0] * maps[1])


def test_shift_cut_and_maximum_by_hand():
    maps = np.array([[[[0.5, 1.0, 0.0]]], [[[0.25, 0.9, 0.0]]]], np.float32)
    for how, expected in (("or", [0.7, 1, 0.15]), ("and", [0.2, 1, 0]), ("mean", [0.45, 1, 0.075])):
        options = combine.Options(how=how, shift=(0.0, 0.15))
        assert combine.combined(maps, options)[0, 0] == pytest.approx(expected)
    plain = combine.combined(maps / 2, combine.Options(how="or", normalise="none"))
    assert plain.max() == pytest.approx(0.5 + 0.45 - 0.5 * 0.45)
    assert combine.combined(maps / 2, combine.Options(how="or")).max() == pytest.approx(1)
    assert not combine.combined(maps * 0, combine.Options(how="and")).any()
    assert combine.combined(maps[:, :0], combine.Options()).shape == (0, 1, 3)


@pytest.mark.parametrize(
    ("options", "inputs", "message"),
    [
        ({}, 1, "2 to 4 stages, not of 1"),
        ({}, 5, "2 to 4 stages, not of 5"),
        ({"how": "xor"}, 2, "cannot be combined by 'xor'"),
        ({"normalise": "sum"}, 2, "no normalisation 'sum'"),
        ({"shift": (0.1,)}, 2, "1 shifts for 2 inputs"),
    ],
)
def test_mistakes_in_combining(options, inputs, message):
    with pytest.raises(InputError, match=message):
        combine.check(combine.Options(**options), inputs)


def test_inputs_of_other_data_are_named(tmp_path):
    for name, ids in (("a", [0]), ("b", [1])):
        (tmp_path / name / "maps").mkdir(parents=True)
        maps = np.zeros((1, 4, 4), np.float32)
        ClassMaps(np.array(ids), maps, maps, 0.5).save(tmp_path / name / "maps" / "x.npz")
    with pytest.raises(InputError, match="1 image has maps of other classes or sizes by each input: x"):
        combine.together([tmp_path / "a", tmp_path / "b"], "x")


def test_noise_is_the_same_over_patches_and_again_and_again():
    noise = combine.noise_of((2, 3, 20, 17), 8, 0, "x")
    assert noise.shape == (2, 3, 20, 17) and (noise[:, :, :8, :8] == noise[:, :, :1, :1]).all()
    assert (noise == combine.noise_of((2, 3, 20, 17), 8, 0, "x")).all()
    assert (noise != combine.noise_of((2, 3, 20, 17), 8, 0, "y")).any()
    assert combine.noise_of((2, 30, 80, 80), 2, 1, "x").std() == pytest.approx(1, abs=0.02)


# Attribution


def tiny(pool):
    """A classifier on a transformer of two blocks in double precision, whose weights are large enough to attend."""
    torch.manual_seed(3)
    model = Classifier(VisionTransformer(8, 2, 2, 4, 2), 3, pool).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.6)
    return model, torch.randn(3, 7, 8, dtype=torch.float64)


class Slow:
    """The same network, one number at a time, whose attention can be moved by hand."""

    def __init__(self, model):
        self.w = {k: v.detach().numpy() for k, v in model.state_dict().items()}
        self.pool = model.pool

    def linear(self, x, name):
        return x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def norm(self, x, name):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
        return scaled * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]

    def attend(self, x, name, moved):
        out, kept = [], []
        qkv = self.linear(x, f"{name}.qkv")
        for head in range(2):
            q, k, v = (qkv[:, 8 * part + 4 * head : 8 * part + 4 * head + 4] for part in range(3))
            attention = np.exp(q @ k.T / math.sqrt(4))
            attention = attention / attention.sum(1, keepdims=True) + moved[head]
            out.append(attention @ v)
            kept.append(attention)
        return self.linear(np.concatenate(out, 1), f"{name}.proj"), kept

    def score(self, image, number, moved):
        padded = np.pad(image, ((0, 0), (0, 1), (0, 0)))
        kernel, bias = self.w["backbone.patch_embed.proj.weight"], self.w["backbone.patch_embed.proj.bias"]
        patches = [padded[:, y : y + 4, x : x + 4] for y in (0, 4) for x in (0, 4)]
        embedded = [(kernel * patch).sum((1, 2, 3)) + bias for patch in patches]
        x = np.stack([self.w["backbone.cls_token"][0, 0], *embedded]) + self.w["backbone.pos_embed"][0]
        every = []
        for block in range(2):
            name = f"backbone.blocks.{block}"
            y, kept = self.attend(self.norm(x, f"{name}.norm1"), f"{name}.attn", moved[block])
            x = x + y
            hidden = self.linear(self.norm(x, f"{name}.norm2"), f"{name}.mlp.fc1")
            hidden = hidden * 0.5 * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2)))
            x = x + self.linear(hidden, f"{name}.mlp.fc2")
            every.append(kept)
        x = self.norm(x, "backbone.norm")
        read = x[0] if self.pool == "token" else x[1:].mean(0)
        return read @ self.w["classifier.weight"][number, :, 0, 0], np.array(every)

    def relevance(self, image, number):
        """Chefer et al.'s rollout, the whole product, with gradients by differences."""
        still = np.zeros((2, 2, 5, 5))
        attention, gradient = self.score(image, number, still)[1], np.zeros_like(still)
        for place in np.ndindex(*still.shape):
            for sign in (1, -1):
                moved = still.copy()
                moved[place] = sign * 1e-5
                gradient[place] += sign * self.score(image, number, moved)[0] / 2e-5
        steps = np.maximum(attention * gradient, 0).mean(1) + np.eye(5)
        steps /= steps.sum(2, keepdims=True)
        product = steps[1] @ steps[0]
        row = product[0, 1:] if self.pool == "token" else product[1:, 1:].mean(0)
        return ((row - row.min()) / (row.max() - row.min())).reshape(2, 2)


@pytest.mark.parametrize("pool", ["token", "mean"])
def test_attribution_is_the_rollout_worked_out_slowly(pool):
    model, image = tiny(pool)
    slow = Slow(model)
    assert slow.score(image.numpy(), 1, np.zeros((2, 2, 5, 5)))[0] == pytest.approx(model(image[None])[0, 1].item())
    found = attribution.relevance(model, image, np.array([0, 2])).numpy()
    assert found.shape == (2, 7, 8)
    for k, number in enumerate((0, 2)):
        expected = slow.relevance(image.numpy(), number)
        below, right = (np.clip((np.arange(n) + 0.5) / 4 - 0.5, 0, 1) for n in (7, 8))  # enlarged bilinearly
        columns = expected[:, :1] * (1 - right) + expected[:, 1:] * right
        large = columns[0] * (1 - below[:, None]) + columns[1] * below[:, None]
        assert found[k] == pytest.approx(large, abs=1e-5)


def test_maps_of_a_transformer_have_the_size_of_the_image_and_go_from_0_to_1():
    model = Classifier(make_backbone("small-vit"), 3, "token").eval()
    image = np.random.default_rng(0).integers(0, 255, (37, 52, 3)).astype(np.uint8)
    for options in (attribution.Options(), attribution.Options(size=64), attribution.Options(flip=True)):
        found = attribution.maps_of(model, image, np.array([0, 2]), options, "cpu")
        assert found.shape == (2, 37, 52)
        assert found.min((1, 2)).tolist() == [0, 0] and found.max((1, 2)) == pytest.approx(1)
    assert attribution.maps_of(model, image, np.zeros(0, int), attribution.Options(), "cpu").shape == (0, 37, 52)


def test_flipped_images_give_flipped_maps_when_both_are_looked_at():
    model = Classifier(make_backbone("small-vit"), 3).eval()
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    a, b = (
        attribution.maps_of(model, x, np.array([1]), attribution.Options(flip=True), "cpu")
        for x in (image, np.ascontiguousarray(image[:, ::-1]))
    )
    assert np.abs(a - b[:, :, ::-1]).max() < 1e-3


@torch.no_grad()
def test_attending_openly_changes_nothing():
    backbone = make_backbone("small-vit").eval()
    images = torch.randn(2, 3, 24, 40)
    tokens, attentions = backbone.attended(images)
    assert torch.allclose(tokens, backbone.tokens(images)[-1], atol=1e-5)
    assert len(attentions) == 4 and all(torch.allclose(a.sum(-1), torch.ones(())) for a in attentions)


def test_pools():
    backbone = make_backbone("small-vit").eval()
    images = torch.randn(2, 3, 16, 24)
    mean, token = Classifier(backbone, 3).eval(), Classifier(backbone, 3, "token").eval()
    assert torch.allclose(mean(images), mean.of_tokens(backbone.tokens(images)[-1]), atol=1e-6)
    expected = backbone.tokens(images)[-1][:, 0] @ token.classifier.weight[:, :, 0, 0].T
    assert torch.allclose(token(images), expected, atol=1e-6)
    with pytest.raises(InputError, match="take attribution in place of cam"):
        token.maps(images)
    with pytest.raises(InputError, match="no other network has a class token"):
        Classifier(make_backbone("small-cnn"), 3, "token")
    with pytest.raises(InputError, match="no pool 'max'"):
        Classifier(backbone, 3, "max")


# The network and its losses


@torch.no_grad()
def test_refining_networks_give_maps_of_the_size_that_they_take():
    small = SmallFcn().eval()
    for size in ((1, 1), (5, 64), (33, 47)):
        assert small(torch.zeros(2, 1, *size)).shape == (2, 1, *size)
    with torch.device("meta"):
        full = Fcn8s().eval()
        for size in ((1, 1), (500, 333)):
            assert full(torch.empty(1, 1, *size)).shape == (1, 1, *size)
    assert sum(p.numel() for p in full.parameters()) > 130e6
    with pytest.raises(InputError, match="no refining network 'unet'"):
        make_fcn("unet")
    with pytest.raises(InputError, match="no published weights"):
        make_fcn("small-fcn", "x.pth")


@pytest.mark.parametrize("path", ["score3", "score4", "score"])
@torch.no_grad()
def test_pixels_of_fcn8s_meet_at_every_stride(path):
    """With weights that pass the map on, a square that fills whole cells comes out where it was."""
    model = Fcn8s(32).eval()
    for name, parameter in model.named_parameters():
        if name.startswith("up"):
            continue
        parameter.zero_()
        if parameter.dim() == 4 and not (name.startswith("score") and name != f"{path}.weight"):
            parameter[0, 0, parameter.shape[2] // 2, parameter.shape[3] // 2] = 1
    maps = torch.zeros(1, 1, 224, 224)
    maps[:, :, 93:125, 61:93] = 1
    out = model(maps)[0, 0]
    assert float((out.sum(1) @ torch.arange(224.0)) / out.sum()) == pytest.approx(108.5, abs=1e-3)
    assert float((out.sum(0) @ torch.arange(224.0)) / out.sum()) == pytest.approx(76.5, abs=1e-3)


def test_vgg16_weights_reach_all_but_the_new_layers():
    torch.manual_seed(0)
    model, before = Fcn8s(16), {}
    given = {k: torch.randn_like(v) for k, v in model.features.state_dict(prefix="features.").items()}
    given["features.0.weight"] = torch.randn(4, 3, 3, 3)
    deep = 4096 // 16
    given |= {"classifier.0.weight": torch.randn(deep, 32 * 49), "classifier.0.bias": torch.randn(deep)}
    given |= {"classifier.3.weight": torch.randn(deep, deep), "classifier.3.bias": torch.randn(deep)}
    given |= {"classifier.6.weight": torch.randn(10, deep), "classifier.6.bias": torch.randn(10)}
    before = {k: v.clone() for k, v in model.state_dict().items()}
    load_vgg16(model, given, "vgg.pth")
    after = model.state_dict()
    same = {k for k in after if torch.equal(after[k], before[k])}
    new = ("features.0.", "score", "up")
    assert same == {k for k in after if k.startswith(new)}
    assert torch.equal(after["fc6.weight"].flatten(1), given["classifier.0.weight"])
    del given["features.28.bias"]
    with pytest.raises(InputError, match=r"features.28.bias is missing"):
        load_vgg16(model, given, "vgg.pth")


def gradient(loss, counts, seed=0):
    """Return the size of the gradient of a loss on images with so many classes each, and the loss."""
    torch.manual_seed(seed)
    model = SmallFcn(4)
    maps = torch.rand(2, sum(counts), 1, 9, 11)
    goal = orand.objective(model, loss)
    batch, weights = goal.prepare({"from": maps[0], "to": maps[1], "counts": torch.tensor(counts)}, 0)
    value = goal.loss(batch, weights)["loss"]
    value.backward()
    return sum(float(p.grad.abs().sum()) for p in model.parameters()), value.item()


def test_the_program_s_loss_teaches_nothing_where_an_image_has_one_class():
    assert gradient("official_ce", [1]) == (0, 0) == gradient("official_ce", [1, 1, 1])
    assert gradient("official_ce", [2])[0] > 1e-3 < gradient("official_ce", [1, 3])[0]
    assert gradient("bce", [1])[0] > 1e-3


def test_losses_are_those_of_pytorch():
    torch.manual_seed(0)
    out, aim = torch.randn(5, 1, 6, 7), torch.rand(5, 1, 6, 7)
    batch = {"from": torch.zeros(5, 1, 6, 7), "to": aim, "counts": torch.tensor([2, 3])}

    def loss(name):
        goal = orand.objective(lambda _: out, name)
        return float(goal.loss(*goal.prepare(batch, 0))["loss"])

    parts = [(out[:2], aim[:2]), (out[2:], aim[2:])]
    expected = [functional.cross_entropy(o.transpose(0, 1), a.transpose(0, 1)) for o, a in parts]
    assert loss("official_ce") == pytest.approx(float(sum(expected)) / 2, rel=1e-5)
    assert loss("bce") == pytest.approx(float(functional.binary_cross_entropy(out.sigmoid(), aim)), rel=1e-5)


def test_batches_hold_every_image_once_an_epoch_and_one_size_at_a_time():
    sizes = {"a": (2, 4, 4), "b": (1, 4, 4), "c": (3, 5, 4), "d": (1, 4, 4)}
    pairs = {k: np.full((2, *size), ord(k), np.float16) for k, size in sizes.items()}
    sample = orand.pair_sampler(pairs.__getitem__, list(pairs), 0, 2)
    seen = []
    for iteration in range(2):
        for batch in sample(iteration):
            assert batch["from"].shape == batch["to"].shape and int(batch["counts"].sum()) == len(batch["from"])
            seen += [chr(int(part[0, 0, 0, 0])) for part in batch["from"].split(batch["counts"].tolist())]
    assert sorted(seen) == list("abcd")
    whole = orand.pair_sampler(pairs.__getitem__, list(pairs), 0, 4)(0)
    assert sorted(len(batch["counts"]) for batch in whole) == [1, 3]
    with pytest.raises(InputError, match="no images to train on"):
        orand.pair_sampler(pairs.__getitem__, [], 0, 2)


def test_refined_maps_and_mistakes_in_options():
    model, maps = SmallFcn().eval(), np.random.default_rng(0).random((2, 9, 9)).astype(np.float32)
    for options in (orand.Options(), orand.Options(loss="official_ce"), orand.Options(output="relu")):
        found = orand.refined(model, maps, options, "cpu")
        assert found.shape == (2, 9, 9) and found.min() >= 0 and found.max() <= 1
    assert orand.refined(model, maps, orand.Options(), "cpu").max((1, 2)) == pytest.approx(1, abs=1e-3)
    assert orand.refined(model, maps[:0], orand.Options(), "cpu").shape == (0, 9, 9)
    for changes, inputs, message in (
        ({}, 3, "takes two stages, those of OR and AND, not 3"),
        ({"loss": "l1"}, 2, "no loss 'l1' of orand"),
        ({"output": "tanh"}, 2, "no output 'tanh'"),
        ({"accumulate": 2}, 2, "in one batch"),
    ):
        with pytest.raises(InputError, match=message):
            orand.check(orand.Options(**changes), inputs)


def test_the_network_learns_to_remove_what_one_map_alone_has_said():
    """OR is a disc and a thin line, AND the disc: after some steps on other discs most of the line is gone."""
    torch.set_num_threads(1)

    def scene(rng):
        rows, columns = np.indices((24, 24))
        y, x = rng.integers(6, 18, 2)
        disc = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 40)
        line = 0.9 * (np.abs(columns - rng.integers(0, 24)) < 1)
        return np.maximum(disc, line), disc

    rng = np.random.default_rng(0)
    pairs = [np.stack(scene(rng))[:, None].astype(np.float16) for _ in range(24)]
    sample = orand.pair_sampler(lambda k: pairs[int(k)], [str(k) for k in range(24)], 0, 8)
    torch.manual_seed(0)
    model = SmallFcn(8)
    goal = orand.objective(model, "bce")
    optimiser = torch.optim.AdamW(model.parameters(), 0.01)
    for iteration in range(100):
        batch, weights = goal.prepare(sample(iteration)[0], iteration)
        optimiser.zero_grad()
        goal.loss(batch, weights)["loss"].backward()
        optimiser.step()
    both, disc = scene(np.random.default_rng(99))
    found = orand.refined(model.eval(), both[None].astype(np.float32), orand.Options(), "cpu")[0]
    line = both > disc
    assert np.abs(found - disc)[line].mean() < 0.4 * np.abs(both - disc)[line].mean()
    assert found[disc > 0.9].mean() > 0.8


# Runs


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a finished little run: its cache, its result."""
    root = tmp_path_factory.mktemp("orand")
    plan = little(root / "cache", *CHANGES, name="shapes-tiny-orand-ce")
    return root / "cache", execute(plan, root / "out")


def test_every_stage_is_scored_and_leaves_maps_that_the_others_take(finished):
    cache, result = finished
    scores = {s["name"]: s["scores"] for s in result["stages"]}
    for name in ("cam", "vitcam", "or", "and", "orand"):
        assert set(scores[name]) == {"train", "train oracle"}
        assert scores[name]["train oracle"]["mIoU"] >= scores[name]["train"]["mIoU"]
    assert scores["predict"]["test"]["mIoU"] is not None
    folders = {s["name"]: cache / f"{s['name']}-{s['key']}" / "maps" for s in result["stages"]}
    for name in ("or", "and", "orand"):
        assert len(list(folders[name].iterdir())) == 14
    for path in list(folders["or"].iterdir())[:4]:
        a, b, either, both = (load_maps(folders[k] / path.name).full for k in ("cam", "vitcam", "or", "and"))
        made = a + b - a * b
        assert either == pytest.approx(made / made.max((1, 2), keepdims=True), abs=2e-3)
        assert both == pytest.approx(a * b / np.maximum((a * b).max((1, 2), keepdims=True), 1e-5), abs=5e-3)


def test_a_run_that_is_killed_goes_on_to_the_same_bytes(finished, tmp_path):
    for stage, at in (("vitcam", 7), ("orand", 5)):
        kill_run(tmp_path, stage, at, *CHANGES, name="shapes-tiny-orand-ce")
    assert next((tmp_path / "cache").glob(".orand-*.part/checkpoint.npz")).is_file()
    plan = little(tmp_path / "cache", *CHANGES, name="shapes-tiny-orand-ce")
    result = execute(plan, tmp_path / "out", resume=True)
    assert [s["digest"] for s in result["stages"]] == [s["digest"] for s in finished[1]["stages"]]


def test_irn_and_phases_after_it(finished, tmp_path):
    plan = little(finished[0], *CHANGES, *IRN, name="shapes-small-orand-cephased")
    result = execute(plan, tmp_path / "out")
    assert result["stages"][-1]["scores"]["test"]["mIoU"] is not None
    assert result["config"]["stages"]["irn"]["inputs"] == ["orand", "classifier"]
    assert len(result["config"]["stages"]["segment"]["options"]["phases"]) == 4


def test_four_classifiers(finished):
    more = [f"{s}.{c}" for s in ("classifier2", "vit2") for c in ("iterations=3", "batch=4", "crop=32")]
    plan = little(finished[0], *CHANGES, *more, "cam2.scales=[1.0]", name="shapes-small-orand4-ce")
    wanted = ("classifier", "cam", "vit", "vitcam", "classifier2", "cam2", "vit2", "vitcam2", "or", "and", "orand")
    for stage in plan.run.stages:
        if stage.name in wanted:
            run_stage(plan, stage)
    first = plan.data.splits["train"][0]
    four = [plan.folder(plan.run.stage(k)) / "maps" / f"{first}.npz" for k in ("cam", "vitcam", "cam2", "vitcam2")]
    maps = [load_maps(path).full for path in four]
    assert all((a != b).any() for k, a in enumerate(maps) for b in maps[:k])
    either = load_maps(plan.folder(plan.run.stage("or")) / "maps" / f"{first}.npz").full
    made = 1 - (1 - maps[0]) * (1 - maps[1]) * (1 - maps[2]) * (1 - maps[3])
    assert either == pytest.approx(made / made.max((1, 2), keepdims=True), abs=2e-3)


def test_a_convolutional_network_has_no_attention(finished):
    plan = little(finished[0], *CHANGES, "vitcam.inputs=['classifier']", name="shapes-tiny-orand-ce")
    with pytest.raises(InputError, match="vitcam needs a transformer, and its classifier is small-cnn"):
        run_stage(plan, plan.run.stage("vitcam"))


def test_proxies_and_noise_are_told(finished):
    changes = ["or.note=proxy: two of a kind", "or.noise=0.1"]
    plan = little(finished[0], *CHANGES, *changes, name="shapes-tiny-orand-ce")
    notes = json.loads((run_stage(plan, plan.run.stage("or")) / "stage.json").read_text())["notes"]
    assert "or: proxy: two of a kind" in notes and any("noise of deviation 0.1" in note for note in notes)


def test_unpretrained_networks_on_photographs_are_told(finished):
    import dataclasses

    plan = little(finished[0], "classifier.iterations=1")
    photographs = dataclasses.replace(plan, data=dataclasses.replace(plan.data, name="VOC2012"))
    record = json.loads((run_stage(photographs, plan.run.stage("classifier")) / "stage.json").read_text())
    assert record["notes"] == ["classifier: small-cnn had random weights at first, no pretrained ones"]


def test_confident_labels_by_multiples_of_the_threshold_that_maps_carry(tmp_path):
    from iamiou_benchmarks.methods import irn
    from iamiou_benchmarks.methods.segment import read_labels
    from iamiou_benchmarks.work import Log, Work

    full = np.array([[[0.1, 0.2, 0.3, 0.5]]], np.float32)
    (tmp_path / "maps").mkdir()
    ClassMaps(np.array([4]), full, full, 0.25).save(tmp_path / "maps" / "x.npz")
    for relative, expected in ((False, [255, 255, 255, 5]), (True, [0, 255, 255, 5])):
        data = type("Data", (), {"splits": {"train": ("x",)}})
        out = tmp_path / f"out{relative}"
        out.mkdir()
        work = Work(data, {"cam": tmp_path}, out, 0, "cpu", Log(out / "log", "irn"))
        shares = {"foreground": 1.25, "background": 0.7} if relative else {"foreground": 0.4, "background": 0.05}
        irn.write_confident(work, irn.Options(relative=relative, **shares))
        assert read_labels(out / "confident" / "x.png").tolist() == [expected]


def test_a_loss_that_is_always_0_can_be_drawn(tmp_path):
    """The program's loss is, where all images show one class."""
    from iamiou_benchmarks.pictures import draw_curves

    lines = [{"stage": "orand", "iteration": k, "loss": 0.0} for k in (10, 20)]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    draw_curves(tmp_path / "m.jsonl", tmp_path / "c.png")
    assert (tmp_path / "c.png").stat().st_size > 1000
