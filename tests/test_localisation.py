"""Localisation scores: IoU by hand, baselines, one pass for several rules, stored tables, and real photographs."""

import math

import pytest
import timm
import torch
from PIL import Image, ImageDraw

from mgff_tutorial.cropper import ViTCropper
from mgff_tutorial.errors import DataError, InputError
from mgff_tutorial.experiments.localisation import (Found, box_iou, central_box, find_objects, full_image, read_scores,
                                        score_dataset, summarise, write_scores)


def vit():
    torch.manual_seed(0)
    return timm.create_model("vit_tiny_patch16_224", img_size=48, depth=4, num_classes=0)


def pictures(sizes=((60, 40), (50, 90), (48, 48))):
    out = []
    for i, size in enumerate(sizes):
        image = Image.new("RGB", size, (40 * i, 90, 120))
        ImageDraw.Draw(image).ellipse((10, 10, 30, 28), fill="white")
        out.append(image)
    return out


def test_iou_by_hand():
    a = torch.tensor([[0, 0, 4, 4], [0, 0, 4, 4], [0, 0, 4, 4], [0, 0, 10, 10]])
    b = torch.tensor([[0, 0, 4, 4], [2, 0, 6, 4], [4, 4, 6, 6], [2, 2, 4, 7]])
    torch.testing.assert_close(box_iou(a, b), torch.tensor([1, 1 / 3, 0, 0.1], dtype=torch.float64))
    with pytest.raises(InputError, match="boxes"):
        box_iou(a, b[:2])


def test_baselines_look_at_sizes_only():
    assert full_image([[100, 50]]).tolist() == [[0, 0, 100, 50]]
    torch.testing.assert_close(central_box([[100, 50]]), torch.tensor([[15.0, 7.5, 85, 42.5]]))


def test_one_pass_gives_the_boxes_of_the_cropper_for_every_rule():
    images, model, passes = pictures(), vit(), []
    truth = torch.tensor([[10.0, 10, 31, 29]] * 3)
    names = ("literal", "class_token_clipped", "attended_object")
    hook = model.patch_embed.register_forward_hook(lambda *_: passes.append(1))
    found = find_objects(ViTCropper(model, padding=0.1), images, truth, [torch.tensor([[12.0, 12], [55, 35]]), [], []],
                         names, batch_size=2)
    hook.remove()
    assert len(passes) == 2 and len(found) == 3 * 5
    for name in names:
        cropper = ViTCropper(model, rule=name, padding=0.1)
        for f in (f for f in found if f.rule == name):
            from torchvision.transforms.v2 import functional as tv

            pixels = tv.to_dtype(tv.to_image(images[f.image]).as_subclass(torch.Tensor), scale=True)
            small = torch.nn.functional.interpolate(pixels[None], (48, 48), mode="bilinear", antialias=True)
            box = cropper.boxes((small - 0.5) / 0.5)[0]
            width, height = images[f.image].size
            expected = box * torch.tensor([width, height, width, height]) / 48
            torch.testing.assert_close(torch.tensor(f.box), expected, atol=1e-3, rtol=0)
            assert f.iou == pytest.approx(box_iou(expected[None], truth[f.image][None]).item(), abs=1e-4)
            assert f.peak_in_box in (0.0, 1.0) and math.isnan(f.parts_kept) == (f.image > 0)
    central = next(f for f in found if f.rule == "central_box" and f.image == 0)
    assert central.parts_kept == 0.5 and math.isnan(central.peak_in_box)  # of (12, 12) and (55, 35) one lies inside


def test_summary_and_files(tmp_path):
    nan = float("nan")
    found = [Found(0, "literal", (0, 0, 1, 1), 0.4, 1.0, 0.5), Found(1, "literal", (0, 0, 1, 1), 0.8, 0.0, nan),
             Found(0, "full_image", (0, 0, 1, 1), 0.2, nan, 1.0)]
    first, second = summarise(found, "cub20", "test", 224, 0.05)
    assert (first.images, first.mean_iou, first.above_half) == (2, pytest.approx(0.6), 0.5)
    assert first.pointing_game == 0.5 and first.parts_kept == 0.5 and first.input_size == 224
    assert second.input_size == 0 and math.isnan(second.pointing_game)
    write_scores(tmp_path / "scores.csv", [first, second])
    write_scores(tmp_path / "scores.json", [first, second])
    again = read_scores(tmp_path / "scores.csv")
    assert again[0].mean_iou == pytest.approx(first.mean_iou) and again[0].images == 2
    assert (again[0].data, again[0].rule, again[0].padding) == ("cub20", "literal", 0.05)
    assert again[1].rule == "full_image" and math.isnan(again[1].pointing_game)
    assert [p.name for p in tmp_path.glob("*.part")] == []
    with pytest.raises(DataError, match="nothing.csv"):
        read_scores(tmp_path / "nothing.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="columns"):
        read_scores(tmp_path / "other.csv")


def test_the_stored_table_says_what_the_readme_says():
    """The committed study: the default beats both baselines and the literal rule on unseen photographs."""
    from mgff_tutorial.paths import PACKAGE

    rows = {(s.split, s.rule, s.input_size): s
            for s in read_scores(PACKAGE.parent / "data" / "results" / "localisation_cub20.csv")}
    default = rows["test", "attended_object", 224]
    assert default.images == 515 and default.mean_iou >= 0.72 and default.above_half >= 0.90
    for other in (("literal", 224), ("class_token", 224), ("full_image", 0), ("central_box", 0)):
        assert default.mean_iou > rows[("test", *other)].mean_iou + 0.05


def test_bad_input():
    with pytest.raises(InputError, match="boxes"):
        find_objects(ViTCropper(vit()), pictures(), torch.zeros(2, 4))
    with pytest.raises(InputError, match="rule"):
        find_objects(ViTCropper(vit()), pictures(), torch.zeros(3, 4), rules=("best",))
    with pytest.raises(InputError, match="dataset"):
        score_dataset(vit(), pictures())


def test_mapping_of_the_real_vit_against_onnxruntime():
    """The ONNX file run by its own runtime gives the features of the timm model that `real_weights` fills."""
    import real_weights

    runtime = pytest.importorskip("onnxruntime")
    path = real_weights._find(*real_weights.DINO)
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(str(path))
    graph.graph.output.append(onnx.helper.make_empty_tensor_value_info("/backbone/layernorm/Add_1_output_0"))
    graph.graph.output.append(onnx.helper.make_empty_tensor_value_info("/backbone/embeddings/Resize_output_0"))
    session = runtime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    _, features, positions = session.run(None, {"input_image": x.numpy()})
    model = real_weights.dinov2_vit_small(224)
    with torch.no_grad():  # the two resample positions in different ways; with the same positions all must agree
        model.pos_embed[:, 1:] = torch.from_numpy(positions).flatten(2).transpose(1, 2)
        torch.testing.assert_close(model.forward_features(x), torch.from_numpy(features), atol=1e-4, rtol=1e-4)


def test_default_rule_finds_birds_in_real_photographs():
    import real_weights
    from mgff_tutorial.datasets import CUB200

    birds = CUB200(real_weights.cub20(), split="test")
    scores = {s.rule: s for s in score_dataset(real_weights.dinov2_vit_small(224), birds,
                                               ("literal", "attended_object"), limit=16)}
    assert scores["attended_object"].mean_iou > 0.6 > scores["central_box"].mean_iou
    assert scores["attended_object"].mean_iou > scores["literal"].mean_iou + 0.1
    assert scores["attended_object"].pointing_game > 0.8
