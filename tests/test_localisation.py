"""Localisation scores: IoU by hand, baselines, one pass for several rules, stored tables, and real
photographs.
"""

import math

import numpy as np
import pytest
import timm
import torch
from PIL import Image, ImageDraw

from mgff_tutorial.cropper import ViTCropper
from mgff_tutorial.experiments.localisation import (
    box_iou,
    central_box,
    find_in_dataset,
    find_objects,
    full_image,
    stored_scores,
    summarise,
)
from mgff_tutorial.experiments.results import Results, read_rows
from mgff_tutorial.response import RULES
from mgff_tutorial.support.errors import DataError, InputError


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
    names = ("literal", "class_token_clipped", "attended_object", "attended_object_edges")
    hook = model.patch_embed.register_forward_hook(lambda *_: passes.append(1))
    found = find_objects(
        ViTCropper(model, padding=0.1),
        images,
        truth,
        [torch.tensor([[12.0, 12], [55, 35]]), [], []],
        names,
        batch_size=2,
    )
    hook.remove()
    assert len(passes) == 2 and list(found) == ["full_image", "central_box", *names]
    assert all(len(values) == 3 for arrays in found.values() for values in arrays.values())
    for name in names:
        cropper = ViTCropper(model, rule=name, padding=0.1)
        for i, image in enumerate(images):
            f = {key: values[i] for key, values in found[name].items()}
            from torchvision.transforms.v2 import functional as tv

            pixels = tv.to_dtype(tv.to_image(image).as_subclass(torch.Tensor), scale=True)
            small = torch.nn.functional.interpolate(
                pixels[None], (48, 48), mode="bilinear", antialias=True
            )
            box = cropper.boxes((small - 0.5) / 0.5)[0]
            width, height = image.size
            expected = box * torch.tensor([width, height, width, height]) / 48
            torch.testing.assert_close(torch.tensor(f["box"]), expected, atol=1e-3, rtol=0)
            assert f["iou"] == pytest.approx(
                box_iou(expected[None], truth[i][None]).item(), abs=1e-4
            )
            assert f["peak_in_box"] in (0.0, 1.0) and math.isnan(f["parts_kept"]) == (i > 0)
    central = found["central_box"]
    # of (12, 12) and (55, 35) one lies inside
    assert central["parts_kept"][0] == 0.5 and np.isnan(central["peak_in_box"]).all()


def test_summary():
    nan = float("nan")
    found = {
        "literal": {"iou": [0.4, 0.8], "peak_in_box": [1, 0], "parts_kept": [0.5, nan]},
        "full_image": {"iou": [0.2], "peak_in_box": [nan], "parts_kept": [1]},
    }
    for arrays in found.values():
        arrays["box"] = [[0, 0, 1, 1]] * len(arrays["iou"])
    found = {
        rule: {key: np.array(values, np.float32) for key, values in arrays.items()}
        for rule, arrays in found.items()
    }
    first, second = summarise(found, "test", 224)
    assert (first.images, first.mean_iou, first.above_half) == (2, pytest.approx(0.6), 0.5)
    assert first.pointing_game == 0.5 and first.parts_kept == 0.5 and first.input_size == 224
    assert second.input_size == 0 and math.isnan(second.pointing_game)


# --- the command ``ablate --experiment localisation`` on four drawn birds, with random weights
# -----------------------


@pytest.fixture
def localisation(tmp_path, capsys):
    """Runs the command with more words; returns the exit code, what it said, and its results."""
    from mgff_tutorial.__main__ import main
    from mgff_tutorial.models import create_model
    from mgff_tutorial.support.checkpoints import save_checkpoint

    torch.manual_seed(0)
    path = tmp_path / "small.safetensors"
    save_checkpoint(
        path,
        create_model("vit_nano", num_classes=3),
        {"model": "vit_nano", "classes": ["a", "b", "c"], "kwargs": {"num_classes": 3}},
    )

    def run(*words, out="out", limit="4"):
        code = main(
            [
                "ablate",
                "--experiment",
                "localisation",
                "--device",
                "cpu",
                "--limit",
                limit,
                "--vit",
                str(path),
                "--out",
                str(tmp_path / out),
                *words,
            ]
        )
        said = capsys.readouterr()
        name = "localisation_sketchbirds-small"
        return code, said.out + said.err, Results(tmp_path / out, name) if code == 0 else None

    return run


def test_the_command_scores_every_rule_and_its_numbers_follow_from_the_stored_boxes(
    localisation, tmp_path
):
    from mgff_tutorial.datasets import SketchBirds
    from mgff_tutorial.experiments.studies import open_vit

    code, said, results = localisation("--input-size", "96", "64")
    assert code == 0 and "| attended_object, test | 64 | 4 |" in said
    birds, places = SketchBirds("test"), list(range(0, 600, 150))
    scores = stored_scores(read_rows(results.path))
    assert len(scores) == 2 + 2 * len(RULES) and all("/" not in row.command for row in results.rows)
    for score in scores:
        name = f"{score.rule}@{score.input_size}" if score.input_size else score.rule
        iou = box_iou(results.predictions[f"{name}/test/box"], birds.boxes[places])
        assert iou.mean().item() == pytest.approx(score.mean_iou, abs=1e-5) and score.images == 4
        assert (iou > 0.5).double().mean().item() == score.above_half
        assert math.isnan(score.pointing_game) == (score.input_size == 0)
    vit = open_vit(str(tmp_path / "small.safetensors"), 64)
    cropper = ViTCropper(vit, padding=0.0, input_size=64)
    found = find_in_dataset(cropper, birds, ("literal", "attended_object"), limit=4)
    for expected in summarise(found, input_size=64):
        stored = next(
            s for s in scores if (s.rule, s.input_size) == (expected.rule, expected.input_size)
        )
        assert stored.mean_iou == pytest.approx(expected.mean_iou, abs=1e-5)


def test_a_run_that_was_stopped_goes_on_where_it_was(localisation, monkeypatch):
    import mgff_tutorial.experiments.localisation as study

    words, whole, passes = (
        ("--rules", "literal", "class_token", "--input-size", "96", "64"),
        study.find_in_dataset,
        [],
    )

    def stopped_at_the_second(*args, **options):
        passes.append(args[2])
        if len(passes) == 2:
            raise KeyboardInterrupt
        return whole(*args, **options)

    monkeypatch.setattr(study, "find_in_dataset", stopped_at_the_second)
    assert localisation(*words)[0] == 130
    code, said, resumed = localisation(*words)
    assert code == 0 and "96 pixels: skipping 2 rules" in said and len(passes) == 3
    monkeypatch.undo()
    straight = localisation(*words, out="straight")[2]
    assert [(r.key, r.value) for r in resumed.rows] == [(r.key, r.value) for r in straight.rows]
    for name, array in straight.predictions.items():
        assert np.array_equal(array, resumed.predictions[name], equal_nan=True)
    code, said, more = localisation("--rules", "literal", "rollout", "--input-size", "96")
    assert code == 0 and "skipping 1 rules" in said and len(more.rows) == len(straight.rows) + 4
    before = more.path.read_bytes()
    assert localisation(*words)[0] == 0 and more.path.read_bytes() == before


def test_the_command_takes_a_cub_tree_a_timm_name_and_its_weights(tmp_path, capsys):
    from mgff_tutorial.__main__ import main
    from mgff_tutorial.support.checkpoints import save_checkpoint
    from mgff_tutorial.support.paths import sketchbirds_dir

    name = "vit_tiny_patch16_224"
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "tiny.safetensors", timm.create_model(name), {"model": name})
    words = [
        "ablate",
        "--experiment",
        "localisation",
        "--device",
        "cpu",
        "--data",
        "cub",
        "--limit",
        "2",
        "--split",
        "train",
        "--root",
        str(sketchbirds_dir()),
        "--rules",
        "class_token",
        "--out",
        str(tmp_path / "out"),
    ]
    assert (
        main(
            [
                *words,
                "--vit",
                name,
                "--vit-weights",
                str(tmp_path / "tiny.safetensors"),
                "--input-size",
                "48",
                "64",
            ]
        )
        == 0
    )
    results = Results(tmp_path / "out", f"localisation_cub20-{name}")
    assert [(s.rule, s.input_size, s.split, s.images) for s in stored_scores(results.rows)] == [
        ("full_image", 0, "train", 2),
        ("central_box", 0, "train", 2),
        ("class_token", 48, "train", 2),
        ("class_token", 64, "train", 2),
    ]
    assert results.rows[-1].command == (
        f"python -m mgff_tutorial ablate --experiment localisation --data cub --root CUB_200_2011 "
        f"--vit {name} "
        "--input-size 48 64 --rules class_token --split train --limit 2"
    )
    flops = {row.configuration: row.flops for row in results.rows}
    assert 0 == flops["full_image"] < flops["class_token@48"] < flops["class_token@64"]
    capsys.readouterr()
    assert (
        main(["ablate", "--show", "--experiment", "localisation", "--out", str(tmp_path / "out")])
        == 0
    )
    assert "| class_token, train | 48 | 2 |" in capsys.readouterr().out


def test_bad_arguments_of_the_localisation_command_are_one_sentence(localisation, tmp_path, capsys):
    from mgff_tutorial.__main__ import main

    assert localisation("--rules", "literal")[0] == 0
    for words, message in (
        (["--rules", "litteral"], "did you mean 'literal'"),
        (["--input-size", "100"], "multiple of the ViT's patch, 8 pixels, got 100"),
        (["--input-size", "0"], "--input-size must be an integer of 1 or more"),
        (["--data", "cub"], "root"),
        (["--data", "cup"], "did you mean 'cub'"),
        (["--backbone", "swin_nano"], "--backbone does not apply to localisation"),
        (["--vit", str(tmp_path / "none.safetensors")], "none.safetensors"),
    ):
        code, said, _ = localisation(*words, out="bad" if "--rules" in words else "out")
        lines = [line for line in said.splitlines() if line.startswith("error:")]
        assert code == 2 and len(lines) == 1 and message in lines[0], said
    code, said, _ = localisation("--rules", "literal", limit="6")
    assert code == 2 and "over 4 test images, and this run has 6; choose another --out" in said
    assert main(["ablate", "--experiment", "controlled", "--rules", "literal"]) == 2
    assert "--rules belongs to --experiment localisation" in capsys.readouterr().err
    path = tmp_path / "out" / "localisation_sketchbirds-small.csv"
    path.write_text(path.read_text().replace(",0.0,1,", ",0.0,9,"))
    code, said, _ = localisation("--rules", "literal")
    assert code == 2 and "version 9 of the format" in said
    path.write_text("data,split,rule\ncub,test,literal\n")  # the columns of long ago
    with pytest.raises(DataError, match="not a results file of this version"):
        read_rows(path)
    with pytest.raises(DataError, match="nothing.csv"):
        read_rows(tmp_path / "nothing.csv")


def test_the_stored_table_says_what_the_readme_says():
    """The committed study: the default beats both baselines and the literal rule on unseen
    photographs.
    """
    from mgff_tutorial.experiments.results import stored_results

    rows = {
        (s.split, s.rule, s.input_size): s
        for s in stored_scores(stored_results("localisation_cub20").rows)
    }
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
        find_in_dataset(ViTCropper(vit()), pictures(), ("literal",))


def test_mapping_of_the_real_vit_against_onnxruntime():
    """The ONNX file run by its own runtime gives the features of the timm model that `real_weights`
    fills.
    """
    import real_weights

    runtime = pytest.importorskip("onnxruntime")
    path = real_weights._find(*real_weights.DINO)
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(str(path))
    graph.graph.output.append(
        onnx.helper.make_empty_tensor_value_info("/backbone/layernorm/Add_1_output_0")
    )
    graph.graph.output.append(
        onnx.helper.make_empty_tensor_value_info("/backbone/embeddings/Resize_output_0")
    )
    session = runtime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    _, features, positions = session.run(None, {"input_image": x.numpy()})
    model = real_weights.dinov2_vit_small(224)
    with (
        torch.no_grad()
    ):  # the two resample positions in different ways; with the same positions all must agree
        model.pos_embed[:, 1:] = torch.from_numpy(positions).flatten(2).transpose(1, 2)
        torch.testing.assert_close(
            model.forward_features(x), torch.from_numpy(features), atol=1e-4, rtol=1e-4
        )


def test_default_rule_finds_birds_in_real_photographs():
    import real_weights

    from mgff_tutorial.datasets import CUB200

    birds = CUB200(real_weights.cub20(), split="test")
    cropper = ViTCropper(real_weights.dinov2_vit_small(224), padding=0.0)
    rules = ("literal", "attended_object", "attended_object_edges")
    scores = {s.rule: s for s in summarise(find_in_dataset(cropper, birds, rules, limit=16))}
    assert scores["attended_object_edges"].mean_iou > scores["attended_object"].mean_iou
    assert scores["attended_object"].mean_iou > 0.6 > scores["central_box"].mean_iou
    assert scores["attended_object"].mean_iou > scores["literal"].mean_iou + 0.1
    assert scores["attended_object"].pointing_game > 0.8
