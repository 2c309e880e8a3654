"""Class maps of a transformer, against slow arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")


from iamiou.errors import InputError  # noqa: E402
from iamiou_benchmarks.methods import attribution  # noqa: E402
from iamiou_benchmarks.networks.build import Classifier, make_backbone  # noqa: E402
from iamiou_benchmarks.networks.vit import VisionTransformer  # noqa: E402


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
