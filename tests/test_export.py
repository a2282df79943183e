"""Models leave torch, are traced, quantised and shared between threads, and compute the same."""

import copy
import threading

import pytest
import timm
import torch
from torch import fx
from torchvision.models.feature_extraction import create_feature_extractor

from mgff_tutorial.cropper import ViTCropper
from mgff_tutorial.mgff import MGFFClassifier
from mgff_tutorial.models import create_model
from mgff_tutorial.response import response_map
from mgff_tutorial.swin import swin_nano, swin_tiny_patch4_window7_224
from mgff_tutorial.two_stage import TwoStageClassifier


def shifted_swin():
    """Small, with shifts, masks and a padded grid."""
    torch.manual_seed(0)
    return swin_nano(num_classes=3, window_size=4, depths=(1, 2, 1, 1))


def alive(model):
    """MGFF with its gate open, so that all of it counts."""
    with torch.no_grad():
        model.mgff.gate.fill_(0.5)
    return model.eval()


def mgff(backbone):
    torch.manual_seed(0)
    return alive(MGFFClassifier(backbone, num_classes=3, img_size=64))


MODELS = {
    "swin": lambda: shifted_swin().eval(),
    "mgff on our swin": lambda: mgff(swin_nano(img_size=64, depths=(1, 2, 1, 1))),
    "mgff on a resnet": lambda: mgff("resnet10t"),
    "mgff on a vit": lambda: mgff(timm.create_model("vit_tiny_patch16_224", img_size=64, depth=4)),
}


def size_of(model):
    return (96, 96) if isinstance(model, type(shifted_swin())) else model.img_size


@pytest.fixture(scope="module", params=sorted(MODELS))
def exported(request):
    """Name, model and exported program; exporting takes most of the time of these tests."""
    model = MODELS[request.param]()
    assert any(p.requires_grad for p in model.parameters())
    x = torch.randn(2, 3, *size_of(model))
    batch = torch.export.Dim("batch", min=1, max=64)
    return request.param, model, torch.export.export(model, (x,), dynamic_shapes=({0: batch},))


def test_exported_programs_compute_the_same_with_gradients_on(exported):
    name, model, program = exported
    for count in (2, 5):
        x = torch.randn(count, 3, *size_of(model))
        torch.testing.assert_close(program.module()(x), model(x), atol=1e-5, rtol=0)
    names = {str(node.target) for node in program.graph.nodes}
    assert not any("scaled_dot_product" in n for n in names) or name == "mgff on a vit"


def test_onnx_files_compute_the_same(exported, tmp_path):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    _, model, program = exported
    path = tmp_path / "model.onnx"
    torch.onnx.export(program, (), path, dynamo=True, verbose=False)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for count in (1, 2, 5):
        x = torch.randn(count, 3, *size_of(model))
        (got,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        torch.testing.assert_close(torch.from_numpy(got), model(x).detach(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_traced_by_jit_in_a_default_call(name):
    model = MODELS[name]()
    x = torch.randn(2, 3, *size_of(model))
    traced = torch.jit.trace(model, x)
    x = torch.randn(3, 3, *size_of(model))
    torch.testing.assert_close(traced(x), model(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("training", [False, True])
def test_traced_by_fx(training):
    model = swin_tiny_patch4_window7_224(img_size=64, num_classes=3, depths=(1, 2, 1, 1))
    model.train(training)
    traced = fx.symbolic_trace(model)
    for count in (2, 3):
        x = torch.randn(count, 3, 64, 64)
        torch.manual_seed(0)
        expected = model(x)
        torch.manual_seed(0)
        torch.testing.assert_close(traced(x), expected, atol=1e-6, rtol=0)
    model = shifted_swin().eval()
    x = torch.randn(1, 3, 70, 90)  # another size: padded, with masks of its own
    torch.testing.assert_close(fx.symbolic_trace(model)(x), model(x), atol=1e-6, rtol=0)


def test_torchvision_extracts_features():
    model = shifted_swin().eval()
    nodes = {f"layers.{i}": str(i) for i in range(4)}
    x = torch.randn(2, 3, 96, 96)
    maps = create_feature_extractor(model, nodes)(x)
    expected = model.forward_intermediates(x, output_fmt="NHWC", intermediates_only=True)
    for i in range(4):
        torch.testing.assert_close(maps[str(i)], expected[i], atol=1e-6, rtol=0)
    whole = alive(MGFFClassifier("swin_nano", num_classes=3))
    nodes = create_feature_extractor(whole, {"mgff.align": "align", "classifier": "logits"})
    torch.testing.assert_close(nodes(x)["logits"], whole(x), atol=1e-6, rtol=0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", ["swin", "mgff on our swin"])
def test_quantised_dynamically(name):
    model = MODELS[name]()
    x = torch.randn(2, 3, *size_of(model))
    with torch.no_grad():
        small = torch.ao.quantization.quantize_dynamic(
            copy.deepcopy(model), {torch.nn.Linear}, dtype=torch.qint8
        )
        expected = model(x)
        assert type(small.get_classifier()) is not torch.nn.Linear
        assert (small(x) - expected).abs().max() < 0.1 * expected.abs().max() + 0.05


@pytest.mark.parametrize("name", ["swin", "mgff on our swin"])
def test_weights_of_eight_bits(name):
    quantization = pytest.importorskip("torchao.quantization")
    model = MODELS[name]()
    x, expected = torch.randn(2, 3, *size_of(model)), None
    with torch.no_grad():
        expected = model(x)
        quantization.quantize_(model, quantization.Int8WeightOnlyConfig())
        assert type(model.get_classifier().weight) is not torch.nn.Parameter
        assert (model(x) - expected).abs().max() < 0.05 * expected.abs().max() + 0.01


# ---- threads ----


def together(jobs):
    """Results of functions that run at once, each in a thread of its own."""
    results, start = [None] * len(jobs), threading.Barrier(len(jobs))

    def work(i):
        start.wait()
        results[i] = jobs[i]()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_threads_that_share_a_vit_see_their_own_attention():
    torch.manual_seed(0)
    vit = create_model("vit_nano", pretrained=True, img_size=96).eval()
    images = [torch.randn(1, 3, 96, 96) for _ in range(8)]
    rules = ["class_token", "literal", "spectral", "attended_object_values"] * 2
    alone = [response_map(vit, x, rule) for x, rule in zip(images, rules)]
    for _ in range(5):
        jobs = [lambda x=x, r=r: response_map(vit, x, r) for x, r in zip(images, rules)]
        for got, expected in zip(together(jobs), alone):
            torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


def test_threads_that_share_two_stages_get_their_own_probabilities():
    """The classifier is in training mode, with dropout: every prediction must still be the one of
    evaluation mode, and the mode must be what it was.
    """
    torch.manual_seed(0)
    model = MGFFClassifier("swin_nano", num_classes=4, img_size=48, drop_rate=0.5).train()
    vit = create_model("vit_nano", pretrained=True, img_size=48)
    both = TwoStageClassifier(model, ViTCropper(vit))
    images = [torch.randn(2, 3, 48, 48) for _ in range(8)]
    alone = [both.predict(x) for x in images]
    modes = [m.training for m in both.modules()]
    for _ in range(4):
        for got, expected in zip(together([lambda x=x: both.predict(x) for x in images]), alone):
            torch.testing.assert_close(got.merged, expected.merged, atol=1e-5, rtol=0)
            torch.testing.assert_close(got.boxes, expected.boxes, atol=1e-3, rtol=0)
    assert [m.training for m in both.modules()] == modes and model.training


def test_threads_with_images_of_different_sizes_share_a_swin():
    model = shifted_swin().eval()
    images = [torch.randn(1, 3, 40 + 8 * i, 96 - 8 * i) for i in range(6)]
    with torch.no_grad():
        alone = [model(x) for x in images]

    def job(x):
        with torch.no_grad():
            return model(x)

    for _ in range(5):
        for got, expected in zip(together([lambda x=x: job(x) for x in images]), alone):
            torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)
