"""Results files that resume and refuse; intervals against closed forms; heads on stored maps
against whole models.
"""

import csv

import numpy as np
import pytest
import torch
from scipy import stats

from mgff_tutorial.experiments.intervals import paired_bootstrap, t_interval, wilson_interval
from mgff_tutorial.experiments.results import Results, paired_difference, read_rows, summarise
from mgff_tutorial.experiments.tables import results_table
from mgff_tutorial.support.errors import DataError, InputError


def row(configuration="baseline", seed=0, value=0.5, **changes):
    return dict(
        configuration=configuration,
        seed=seed,
        split="test",
        metric="accuracy",
        value=value,
        n=100,
        params=10,
        flops=20,
        seconds=0.01,
        command="python -m mgff_tutorial ablate",
        **changes,
    )


def test_rows_and_predictions_survive_a_round_trip(tmp_path):
    results = Results(tmp_path, "tiny")
    results.add(
        [row(seed=s, value=0.5 + s / 10) for s in range(3)],
        {"baseline/0": np.arange(4, dtype=np.uint8)},
    )
    again = Results(tmp_path, "tiny")
    assert again.rows == results.rows and len(again.rows) == 3
    assert np.array_equal(again.predictions["baseline/0"], np.arange(4))
    assert list(tmp_path.glob(".*")) == []


def test_resuming_finds_exactly_what_is_missing(tmp_path):
    results = Results(tmp_path, "tiny")
    results.add([row(seed=0), row("mgff", seed=1)])
    assert results.missing(["baseline", "mgff"], range(2)) == [("mgff", 0), ("baseline", 1)]
    with pytest.raises(InputError, match="never overwritten"):
        results.add([row(seed=0, value=0.9)])
    with pytest.raises(InputError, match="has no command"):
        results.add([{**row(seed=7), "command": ""}])
    assert Results(tmp_path, "tiny").rows == results.rows


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda cells: cells.update(version="2"), "line 2 was written in version 2 of the format"),
        (lambda cells: cells.update(n="10.5"), "line 2 says '10.5', not a number, for n"),
        (lambda cells: cells.update(params=""), "line 2 says '', not a number, for params"),
        (lambda cells: cells.update(value="nan"), "not a number"),
        (lambda cells: cells.update(seed="first"), "line 2"),
        (lambda cells: cells.pop("command"), "its columns are"),
    ],
)
def test_other_versions_and_damage_are_refused_by_line(tmp_path, change, message):
    Results(tmp_path, "tiny").add([row()])
    with open(tmp_path / "tiny.csv") as stream:
        cells = next(csv.DictReader(stream))
    change(cells)
    with open(tmp_path / "tiny.csv", "w") as stream:
        writer = csv.DictWriter(stream, cells)
        writer.writeheader()
        writer.writerow(cells)
    with pytest.raises(DataError, match=message):
        Results(tmp_path, "tiny")


def test_a_cut_off_file_and_a_repeated_row_are_refused(tmp_path):
    Results(tmp_path, "tiny").add([row(), row(seed=1)])
    text = (tmp_path / "tiny.csv").read_text()
    (tmp_path / "tiny.csv").write_text(text[:-40])
    with pytest.raises(DataError, match="line 3"):
        read_rows(tmp_path / "tiny.csv")
    (tmp_path / "tiny.csv").write_text(text + text.splitlines()[1] + "\n")
    with pytest.raises(DataError, match="line 4 repeats line 2"):
        read_rows(tmp_path / "tiny.csv")
    header, first, second = text.splitlines()
    for damaged, message in (
        ([header, first + ",more", second + ",more"], "line 2 has another number of cells"),
        ([header, first, second + ",more"], "line 3"),
        ([header, first, "", second], "line 3"),
        ([header, first, '"' + second], "not a results file of this version"),
    ):
        (tmp_path / "tiny.csv").write_text("\n".join(damaged) + "\n")
        with pytest.raises(DataError, match=message):
            read_rows(tmp_path / "tiny.csv")


def test_damaged_predictions_are_refused(tmp_path):
    results = Results(tmp_path, "tiny")
    results.add([row()], {"labels": np.zeros(3, np.uint8)})
    (tmp_path / "tiny.npz").write_bytes(results.predictions_path.read_bytes()[:50])
    with pytest.raises(DataError, match="predictions file"):
        Results(tmp_path, "tiny")
    np.savez(tmp_path / "tiny.npz", version=np.array(7))
    with pytest.raises(DataError, match="version 7"):
        Results(tmp_path, "tiny")


def test_fewer_seeds_are_never_averaged_silently(tmp_path):
    results = Results(tmp_path, "tiny")
    results.add(
        [row(seed=s, value=v) for s, v in enumerate((0.5, 0.6, 0.7))] + [row("mgff", seed=0)]
    )
    with pytest.raises(InputError, match=r"'mgff' has no accuracy on test for seeds \[1, 2\]"):
        summarise(results.rows, 3)
    table = summarise(results.rows, 3, allow_fewer=True)
    assert (table["baseline"].count, table["mgff"].count) == (3, 1)
    assert "(1 of 3 seeds)" in results_table(results, 3)
    alone = Results(tmp_path, "alone")
    alone.add([r for r in results.rows if r.configuration == "baseline"])
    assert "| baseline | 60.0 ± 24.8 |" in results_table(alone, 3)
    with pytest.raises(InputError, match="same two seeds"):
        paired_difference(results.rows, "baseline", "mgff")


def test_intervals_agree_with_scipy():
    values = [0.81, 0.84, 0.80, 0.86, 0.83]
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    estimate = t_interval(values)
    assert np.allclose([estimate.low, estimate.high], [low, high]) and estimate.count == 5
    assert t_interval([0.5]).high == np.inf
    for hits, n in ((0, 10), (7, 10), (10, 10), (412, 515)):
        exact = stats.binomtest(hits, n).proportion_ci(method="wilson")
        ours = wilson_interval(hits, n)
        assert np.allclose([ours.low, ours.high], [exact.low, exact.high], atol=1e-9)
    for bad in ((11, 10), (0, 0)):
        with pytest.raises(InputError):
            wilson_interval(*bad)
    with pytest.raises(InputError):
        t_interval([0.5, float("nan")])


def test_paired_bootstrap_is_narrower_for_paired_errors_and_zero_for_equal_models():
    generator = np.random.default_rng(0)
    first = generator.random((5, 200)) < 0.8
    assert paired_bootstrap(first, first).low == paired_bootstrap(first, first).high == 0
    better = first | (generator.random((5, 200)) < 0.5)
    estimate = paired_bootstrap(better, first)
    assert estimate.low > 0 and np.isclose(estimate.mean, better.mean() - first.mean())
    unrelated = generator.random((5, 200)) < better.mean()
    wide = paired_bootstrap(unrelated, first)
    assert wide.high - wide.low > estimate.high - estimate.low
    with pytest.raises(InputError, match="equal shape"):
        paired_bootstrap(first, first[:, :10])


# --- frozen features and heads on a backbone with random weights
# ---------------------------------------------------


class FewBirds:
    """Six SketchBirds images: the first two of three species."""

    def __new__(cls, split):
        from mgff_tutorial.datasets import SketchBirds

        dataset = SketchBirds(split)
        labels = np.array(dataset.labels)
        dataset = dataset.subset(
            [i for label in range(3) for i in np.flatnonzero(labels == label)[:2]]
        )
        dataset.classes = dataset.classes[:3]
        return dataset


@pytest.fixture
def nano(tmp_path, monkeypatch):
    """A cache folder of its own, and random weights for the backbone and the ViT in files."""
    from mgff_tutorial.experiments import studies
    from mgff_tutorial.models import create_model
    from mgff_tutorial.support.checkpoints import save_checkpoint

    monkeypatch.setenv("MGFF_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    for name in ("swin_nano", "vit_nano"):
        model = create_model(name, num_classes=3)
        save_checkpoint(
            tmp_path / f"{name}.safetensors",
            model,
            {"model": name, "classes": ["a", "b", "c"], "kwargs": {"num_classes": 3}},
        )
    monkeypatch.setattr(
        "mgff_tutorial.experiments.studies._dataset", lambda data, split: FewBirds(split)
    )
    # times matter to one test alone
    for function in (studies.Study.costs, studies.measure_costs.__wrapped__):
        monkeypatch.setattr(function, "__defaults__", (*function.__defaults__[:-1], 1))
    return tmp_path


@pytest.fixture
def study(nano):
    from mgff_tutorial.experiments.studies import Study, StudySettings

    return Study(
        StudySettings(
            weights=str(nano / "swin_nano.safetensors"),
            device="cpu",
            vit_weights=str(nano / "vit_nano.safetensors"),
        )
    )


def test_stored_maps_are_computed_once_and_are_those_of_the_backbone(study, monkeypatch):
    from mgff_tutorial.experiments.frozen_features import View, cut

    stored = study.view("test", "whole")
    image = (cut(study.test.image(3), View(), 96) - 0.5) / 0.5
    maps, final = study.backbone.forward_features(image[None])
    for kept, fresh in zip(stored["maps"], maps):
        assert torch.allclose(kept[3].float(), fresh[0], atol=2e-3)
    assert torch.allclose(stored["pooled"][3], study.backbone.pool(final)[0], atol=1e-4)
    flipped = study.features.extract(study.test, [View(None, True)] * 6)
    assert not torch.allclose(flipped["pooled"], stored["pooled"], atol=1e-3)
    monkeypatch.setattr(study.features, "maps_of", lambda *a: pytest.fail("computed again"))
    again = study.features.extract(study.test, [View()] * 6)
    assert torch.equal(again["pooled"], stored["pooled"])


@pytest.mark.parametrize(
    "configuration",
    [
        "baseline",
        "mgff",
        "mgff-literal",
        "mgff-to-the-letter",
        "mgff-step-replace",
        "mgff-step-norms",
        "mgff-step-residuals",
    ],
)
def test_a_head_on_stored_maps_is_the_whole_model(study, configuration):
    from mgff_tutorial.experiments.frozen_features import View, cut
    from mgff_tutorial.experiments.studies import HEADS, last_map_of
    from mgff_tutorial.mgff import MGFFClassifier

    preset, options = HEADS[configuration]
    head = study.head(configuration, 0).eval()
    if getattr(head.mgff, "gate", None) is not None:
        torch.nn.init.normal_(head.mgff.gate)
    model = MGFFClassifier("swin_nano", 3, img_size=96, preset=preset, **options).eval()
    last_map = last_map_of(configuration)
    assert last_map == model.backbone.last_map
    backbone = study.frozen(last_map).backbone
    model.backbone.load_state_dict(backbone.state_dict())
    model.load_state_dict(head.state_dict(), strict=False)
    images = torch.stack([(cut(study.test.image(i), View(), 96) - 0.5) / 0.5 for i in range(2)])
    maps, final = backbone.forward_features(images)
    stored = study.view("test", "whole", last_map)
    with torch.inference_mode():
        assert torch.allclose(head(maps, backbone.pool(final)), model(images), atol=1e-5)
        kept = head([m[:2].float() for m in stored["maps"]], stored["pooled"][:2])
        assert torch.allclose(kept, model(images), atol=0.02)


def test_the_steps_from_the_default_to_the_text_end_there():
    """All steps together differ from `literal` in the number of heads and the classifier's map
    alone.
    """
    from mgff_tutorial.experiments.studies import GRAPH_NORM, STEPS
    from mgff_tutorial.options import LITERAL, resolve_options

    taken = vars(
        resolve_options(
            "default", **{name: value for _, step in STEPS.values() for name, value in step.items()}
        )
    )
    wanted = vars(LITERAL.replace(**GRAPH_NORM))
    assert {name for name in taken if taken[name] != wanted[name]} == {"last_map", "heads"}


def test_heads_learn_repeat_and_start_alike(study):
    from mgff_tutorial.experiments.frozen_heads import HeadRecipe, predict_head

    assert torch.equal(
        study.head("baseline", 3).classifier.weight, study.head("mgff", 3).classifier.weight
    )
    recipe = HeadRecipe(lr=1e-2, new_lr=3e-3, epochs=12)
    heads = [study.trained("mgff", recipe, seed) for seed in (0, 0, 1)]
    weights = [head.mgff.gate.detach() for head in heads]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert (
        predict_head(heads[0], study.view("train", "whole")).argmax(1).tolist()
        == study.train.labels
    )


def test_views_are_where_they_should_be(study):
    from mgff_tutorial.experiments.frozen_features import View, cut, random_views
    from mgff_tutorial.support.errors import InputError

    sizes = np.array(study.sizes("test"), dtype=float)
    box = np.concatenate([0.15 * sizes, 0.85 * sizes], axis=1)
    assert np.allclose(study.boxes("test", "central"), box, rtol=1e-12)
    views = random_views([(100, 50)] * 200, seed=1)
    boxes = np.array([view.box for view in views])
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= [100, 50]).all()
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / 5000
    assert 0.2 < area.min() and area.max() <= 1 and 60 < sum(view.flip for view in views) < 140
    image = study.train.image(0)
    assert torch.equal(cut(image, View(None, True), 32), cut(image, View(), 32).flip(2))
    with pytest.raises(InputError, match="holds no pixel"):
        cut(image, View((300, 300, 310, 310)), 32)


def test_the_ablate_command_resumes_and_its_rows_follow_from_the_predictions(
    nano, monkeypatch, capsys
):
    import mgff_tutorial.experiments.ablation as ablation
    from mgff_tutorial.__main__ import main
    from mgff_tutorial.experiments.frozen_heads import HeadRecipe

    monkeypatch.setattr(
        ablation, "TRIALS", {name: [HeadRecipe(epochs=1)] for name in ("baseline", "others")}
    )
    monkeypatch.setattr(ablation, "LENGTHS", (1, 2))
    command = [
        "ablate",
        "--experiment",
        "sketchbirds",
        "--seeds",
        "2",
        "--out",
        str(nano / "out"),
        "--device",
        "cpu",
        "--configurations",
        "baseline",
        "mgff",
        "--weights",
        str(nano / "swin_nano.safetensors"),
        "--vit-weights",
        str(nano / "vit_nano.safetensors"),
    ]
    one_seed = [word if word != "2" else "1" for word in command]
    assert main(one_seed) == 0 and main(command) == 0
    said = capsys.readouterr().out
    assert (
        "skipping 2 finished runs of 2 configurations (baseline, mgff)" in said
        and "of 1 seeds" not in said
    )
    for name, runs in (("fusion-sketchbirds", 2), ("two-stage-sketchbirds", 2 * 2 * 7)):
        results = Results(nano / "out", name)
        rows = [r for r in results.rows if (r.split, r.metric) == ("test", "accuracy")]
        assert len(rows) == 2 * runs and all("/" not in r.command.split("ablate")[1] for r in rows)
        for r in rows:
            predicted = results.predictions[f"{r.configuration}/{r.seed}/test"]
            assert round((predicted == results.predictions["labels/test"]).mean(), 6) == r.value
    before = (nano / "out" / "fusion-sketchbirds.csv").read_bytes()
    assert main(command) == 0
    assert (nano / "out" / "fusion-sketchbirds.csv").read_bytes() == before
    capsys.readouterr()
    shown = ["ablate", "--show", "--seeds", "2", "--out", str(nano / "out")]
    assert main([*shown, "--experiment", "two-stage-sketchbirds"]) == 0
    assert "mgff/crops/merged-cropper" in capsys.readouterr().out
    assert main(shown) == 0
    assert (
        "two looks, MGFF: merged, trained with crops as well | not run" in capsys.readouterr().out
    )


def test_a_run_stopped_in_the_middle_resumes_to_the_same_results(nano, monkeypatch, capsys):
    """Ctrl-C in the third training: what was finished stays, nothing of it runs again, the end is
    the same.
    """
    import mgff_tutorial.experiments.ablation as ablation
    from mgff_tutorial.__main__ import main
    from mgff_tutorial.experiments.frozen_heads import HeadRecipe
    from mgff_tutorial.experiments.studies import Study

    monkeypatch.setattr(
        ablation, "TRIALS", {name: [HeadRecipe(epochs=1)] for name in ("baseline", "others")}
    )
    monkeypatch.setattr(ablation, "LENGTHS", (1, 2))
    trained, runs = Study.trained, []

    def stopped_at_the_third(*args, **options):
        runs.append(args[1:4:2])
        if len(runs) == 3:
            raise KeyboardInterrupt
        return trained(*args, **options)

    def ablate(out):
        return main(
            [
                "ablate",
                "--experiment",
                "fusion-sketchbirds",
                "--seeds",
                "2",
                "--out",
                str(nano / out),
                "--device",
                "cpu",
                "--configurations",
                "baseline",
                "mlp-control",
                "--weights",
                str(nano / "swin_nano.safetensors"),
            ]
        )

    monkeypatch.setattr(Study, "trained", stopped_at_the_third)
    assert ablate("stopped") == 130
    assert capsys.readouterr().err.strip().endswith("the same command goes on after them.")
    half = Results(nano / "stopped", "fusion-sketchbirds")
    assert half.has("baseline", 0) and not half.has("mlp-control", 0)
    assert ablate("stopped") == 0 and "skipping 1 finished runs" in capsys.readouterr().out
    assert len(runs) == 3 + 5 and ("baseline", 0) not in runs[3:]
    assert ablate("straight") == 0
    stopped, straight = (
        Results(nano / name, "fusion-sketchbirds") for name in ("stopped", "straight")
    )
    assert {row.key: row.value for row in stopped.rows} == {
        row.key: row.value for row in straight.rows
    }
    assert stopped.predictions.keys() == straight.predictions.keys()
    assert all(
        np.array_equal(stopped.predictions[name], straight.predictions[name])
        for name in straight.predictions
    )


def test_whole_models_are_tuned_alike_trained_and_looked_at_twice(nano, study, monkeypatch, caplog):
    from mgff_tutorial.experiments import finetuning
    from mgff_tutorial.training.config import load_config

    def brief(name, **changes):
        return load_config(name, **{**changes, "epochs": 1, "batch_size": 4, "warmup_epochs": 0})

    monkeypatch.chdir(nano)  # runs/ belongs to the folder in which the command is given
    monkeypatch.setattr(finetuning, "load_config", brief)
    monkeypatch.setattr(finetuning, "TRIALS", [finetuning.Trial(lr, 1.0) for lr in (1e-3, 1e-4)])
    caplog.set_level("INFO", "mgff_tutorial.experiments")
    results = Results(nano / "out", "finetuned-cub20-swin_nano", "the command")
    finetuning.finetuned(study, results, range(1), ["baseline", "mgff"])
    assert {row.command for row in results.rows} == {"the command"}
    tried = [
        r for r in results.rows if (r.split, r.metric.split()[0]) == ("validation", "accuracy")
    ]
    assert [(r.configuration, r.metric) for r in tried] == [
        (name, f"accuracy at lr={lr},new_layer_lr=1")
        for name in ("baseline", "mgff")
        for lr in ("0.001", "0.0001")
    ]
    assert all(0 < r.n < len(study.train) for r in tried)
    tests = [r for r in results.rows if (r.split, r.metric) == ("test", "accuracy")]
    assert len(tests) == 2 * 7 and all(r.n == len(study.test) for r in tests)
    params = {r.configuration.split("/")[0]: r.params for r in tests}
    assert params["mgff"] > params["baseline"] > 500_000  # the backbone's are trained too
    losses = {
        r.configuration: r.value
        for r in results.rows
        if (r.split, r.metric) == ("test", "log-loss")
    }
    assert losses["mgff/merged-central"] not in (
        losses["mgff/stage1"],
        losses["mgff/stage2-central"],
    )
    scores = {(r.configuration, r.metric): r.value for r in results.rows if r.split == "validation"}
    best = max(
        ("0.001", "0.0001"),
        key=lambda lr: (
            scores["mgff", f"accuracy at lr={lr},new_layer_lr=1"],
            -scores["mgff", f"log-loss at lr={lr},new_layer_lr=1"],
        ),
    )
    assert (
        nano / "runs" / "ablate" / results.experiment / f"mgff-lr{best}x1-seed0" / "result.json"
    ).is_file()
    # Trials held images back and left the test images alone; the last run did neither.
    logs = {path.parent.name: path.read_text() for path in (nano / "runs").rglob("log.jsonl")}
    assert len(logs) == 2 * 3 and all(
        ("val_accuracy" in log) == name.endswith("-validation") for name, log in logs.items()
    )
    counted = [
        path
        for path in (nano / "runs").rglob("test_best.csv")
        if path.parent.name.endswith("-validation")
    ]
    assert (
        all(len(path.read_text().splitlines()) == 2 for path in counted) and len(counted) == 4
    )  # a header, one stand-in
    assert len(caplog.messages) == 4 + 2  # a line for each trial, and for each model
    finetuning.finetuned(study, results, range(1), ["baseline", "mgff"])
    assert len(caplog.messages) == 6  # nothing is run twice


def test_what_heads_cost_is_measured_side_by_side_and_once(nano, capsys):
    from mgff_tutorial.__main__ import main

    command = [
        "ablate",
        "--experiment",
        "cost-sketchbirds",
        "--out",
        str(nano / "out"),
        "--device",
        "cpu",
        "--weights",
        str(nano / "swin_nano.safetensors"),
        "--configurations",
        "mgff",
        "mgff-no-graph",
    ]
    assert main(command) == 0
    stored = {r.configuration: r for r in Results(nano / "out", "cost-sketchbirds").rows}
    assert set(stored) == {"baseline", "mgff", "mgff-no-graph"} and stored["baseline"].value == 1
    assert stored["mgff"].value == pytest.approx(
        stored["mgff"].seconds / stored["baseline"].seconds, rel=0.3
    )
    assert stored["mgff"].value > 1
    assert stored["baseline"].params < stored["mgff-no-graph"].params < stored["mgff"].params
    assert stored["baseline"].flops < stored["mgff-no-graph"].flops < stored["mgff"].flops
    assert (
        f"| mgff | {stored['mgff'].params / 1e6:.3f} M | {stored['mgff'].flops / 1e9:.3f} G |"
        in capsys.readouterr().out
    )
    before = (nano / "out" / "cost-sketchbirds.csv").read_bytes()
    assert main(command) == 0 and (nano / "out" / "cost-sketchbirds.csv").read_bytes() == before


def test_folds_hold_every_image_once_and_every_class_evenly():
    from mgff_tutorial.experiments.padding import assign_folds

    labels = [0] * 10 + [1] * 7 + [2] * 5
    folds = assign_folds(labels, 5, seed=1)
    for label, counts in ((0, {2}), (1, {1, 2}), (2, {1})):
        assert set(np.bincount(folds[np.array(labels) == label], minlength=5)) == counts
    assert np.array_equal(folds, assign_folds(labels, 5, seed=1))
    assert not np.array_equal(folds, assign_folds(labels, 5, seed=2))


def test_parts_inside_a_box_are_counted_by_hand():
    from mgff_tutorial.experiments.padding import parts_kept

    parts = torch.tensor(
        [
            [[1.0, 1, 1], [9, 9, 1], [50, 50, 0]],  # one of two visible parts inside
            [[5.0, 5, 1], [0, 4, 1], [4, 0, 1]],  # on the border counts
            [[1.0, 1, 0], [1, 1, 0], [1, 1, 0]],
        ]
    )  # nothing visible: not counted
    assert parts_kept(np.array([[0, 0, 5, 5]] * 3), parts) == pytest.approx((0.5 + 1) / 2)


def test_margins_are_compared_on_training_images_that_the_head_did_not_see(
    study, nano, monkeypatch, caplog
):
    import mgff_tutorial.experiments.ablation as ablation
    from mgff_tutorial.experiments import padding as module
    from mgff_tutorial.experiments.frozen_heads import HeadRecipe

    monkeypatch.setattr(
        ablation, "TRIALS", {name: [HeadRecipe(epochs=1)] for name in ("baseline", "others")}
    )
    monkeypatch.setattr(ablation, "LENGTHS", (1, 2))
    monkeypatch.setattr(module, "FOLDS", 2)
    trained, seen, asked = type(study).trained, [], []

    def record(self, configuration, recipe, seed, indices=None, crops=False):
        seen.append(set(map(int, indices)))
        return trained(self, configuration, recipe, seed, indices, crops)

    monkeypatch.setattr(type(study), "trained", record)
    monkeypatch.setattr(
        module,
        "predict_head",
        lambda head, view, indices: (
            asked.append((set(map(int, indices)), seen[-1])) or torch.full((len(indices), 3), 1 / 3)
        ),
    )
    caplog.set_level("INFO", "mgff_tutorial.experiments")
    results = Results(nano / "out", "padding-sketchbirds", "the command")
    module.padding(study, results, range(2), ["baseline"])
    assert asked and all(
        not held & fitted and len(held | fitted) == len(study.train) for held, fitted in asked
    )
    tests = [r for r in results.rows if (r.split, r.metric) == (module.SPLIT, "accuracy")]
    assert len(tests) == 2 * 2 * len(module.PADDINGS) and all(
        r.n == len(study.train) for r in tests
    )
    assert not [r for r in results.rows if r.split == "test"]
    kept = [r.value for r in results.rows if r.metric == "parts kept"]
    assert len(kept) == len(module.PADDINGS) and kept == sorted(kept)  # a wider box loses no part
    rows = len(results.rows)
    module.padding(study, results, range(2), ["baseline"])
    assert len(results.rows) == rows
    assert len(caplog.messages) == 1 + 2  # one recipe was tried; a line a seed


def test_more_training_images_have_a_file_of_their_own(nano, monkeypatch, capsys):
    from mgff_tutorial.__main__ import main
    from mgff_tutorial.experiments.registry import EXPERIMENTS

    called = []
    monkeypatch.setattr(
        "mgff_tutorial.experiments.ablation.fusion",
        lambda study, results, seeds, names: called.append(
            (results.path.name, results.command, names)
        ),
    )
    arguments = [
        "ablate",
        "--experiment",
        "fusion-sketchbirds",
        "--out",
        str(nano / "out"),
        "--device",
        "cpu",
    ]
    assert (
        main([*arguments, "--training-images", "50"]) == 0
        and main([*arguments, "--training-images", "30"]) == 0
    )
    (first, command, names), (second, usual, _) = called
    assert (first, second) == ("fusion-sketchbirds-50.csv", "fusion-sketchbirds.csv")
    assert (
        "--training-images 50" in command
        and "--training-images" not in usual
        and "mgff-no-graph" in names
    )
    assert EXPERIMENTS.keys() >= {"cost-cub20", "padding-cub20"}
    capsys.readouterr()
    for extra, message in (
        (["--training-images", "5"], "--training-images"),
        (["--training-images", "1001"], "1000"),
        (["--training-images", "50", "--root", "x"], "--root is for photographs"),
    ):
        assert main([*arguments, *extra]) == 2 and message in capsys.readouterr().err
    photographs = [
        "ablate",
        "--experiment",
        "fusion-cub20",
        "--root",
        "x",
        "--training-images",
        "50",
    ]
    assert (
        main(photographs) == 2 and "--training-images is for drawn birds" in capsys.readouterr().err
    )


def test_heads_beyond_the_usual_ones_stand_in_the_command_of_their_rows(nano, monkeypatch, capsys):
    from mgff_tutorial.__main__ import main

    commands = []
    monkeypatch.setattr(
        "mgff_tutorial.experiments.controlled.controlled",
        lambda study, results, seeds, names: commands.append((tuple(names), results.command)),
    )
    arguments = [
        "ablate",
        "--experiment",
        "controlled",
        "--out",
        str(nano / "out"),
        "--device",
        "cpu",
    ]
    assert main(arguments) == 0
    assert main([*arguments, "--configurations", "mgff", "mgff-no-graph"]) == 0
    usual = "python -m mgff_tutorial ablate --experiment controlled --seeds 5"
    assert commands == [
        (("baseline", "mlp-control", "mgff"), usual),
        (("mgff", "mgff-no-graph"), f"{usual} --configurations mgff-no-graph"),
    ]


def test_bad_arguments_of_the_command_are_one_sentence(tmp_path, capsys):
    from mgff_tutorial.__main__ import main

    for extra, message in (
        (["--experiment", "fusion-cub20"], "--root is missing"),
        ([], "--experiment is missing"),
        (["--show"], "holds no results"),
        (["--experiment", "sketchbirds", "--update", "R.md"], "--update belongs to --show"),
        (["--experiment", "sketchbirds", "--seeds", "0"], "--seeds must be an integer from 1"),
        (["--experiment", "sketchbirds", "--root", "x"], "--root is for photographs"),
        (["--experiment", "sketchbirds", "--configurations", "mgf"], "did you mean 'mgff'"),
    ):
        assert main(["ablate", "--out", str(tmp_path), *extra]) == 2
        assert message in capsys.readouterr().err


def test_the_table_of_parts_says_what_the_rows_say(tmp_path, monkeypatch):
    from mgff_tutorial.experiments import tables as module

    monkeypatch.setattr(
        module, "SETTINGS", {"toys": ("heads", "looks"), "none": ("absent", "absent too")}
    )
    with pytest.raises(InputError, match="holds no results"):
        module.tables(tmp_path)
    names = ["baseline", *(name for name in module.ONE_LOOK.values() if name != "mgff-no-graph")][
        :3
    ]
    Results(tmp_path, "heads").add(
        [
            row(name, seed, 0.5 + i / 10 + seed / 100)
            for i, name in enumerate(dict.fromkeys(names))
            for seed in range(3)
        ]
    )
    Results(tmp_path, "looks").add(
        [
            row(f"mgff/crops/{name}", seed, value + seed / 100)
            for seed in range(2)
            for name, value in (("stage1", 0.6), ("merged-cropper", 0.8))
        ]
    )
    lines = module.tables(tmp_path, seeds=3)["frozen-heads"].splitlines()
    assert len(lines) == 2 + 11 + 2 * 5 + 4 and lines[-2] == "python -m mgff_tutorial ablate"
    assert lines[2].startswith("| linear head (baseline) | 51.0 ± 2.5 |  | not run |")
    assert "| +10.0 (+10.0 to +10.0) | not run |" in lines[3]
    assert "| MGFF without graph | not run |  | not run |" in "\n".join(lines)
    crops = next(line for line in lines if "two looks, MGFF: merged, trained with crops" in line)
    assert "(2 of 3 seeds) | +20.0 (+20.0 to +20.0)" in crops


def test_tables_of_more_images_small_birds_costs_and_margins_say_what_the_rows_say(tmp_path):
    from mgff_tutorial.experiments.tables import tables

    for count, gain in (("", 0.0), ("-300", 0.1), ("-100", 0.05)):
        Results(tmp_path, f"fusion-sketchbirds{count}").add(
            [
                row(name, seed, 0.5 + seed / 100 + (gain if name == "mgff" else 0))
                for name in ("baseline", "mgff")
                for seed in range(2)
            ]
        )
    lines = tables(tmp_path, seeds=2)["more-images"].splitlines()
    assert [line.split(" | ")[0] for line in lines[2:5]] == ["| 30", "| 100", "| 300"]
    assert (
        "| +10.0 (+10.0 to +10.0) | not run |  |" in lines[4]
        and "| +0.0 (+0.0 to +0.0) |" in lines[2]
    )

    controlled = [
        {**row(f"{name}/stage1", seed, value + seed / 100), "split": "scale=0.2"}
        for name, value in (("baseline", 0.1), ("mlp-control", 0.2), ("mgff", 0.4))
        for seed in range(2)
    ]
    Results(tmp_path, "controlled").add(controlled)
    found = tables(tmp_path, seeds=2)
    first = found["controlled"].splitlines()[2]
    assert first.startswith(
        "| bird 0.2 of the picture | 10.5 ± 6.4 | +30.0 (+30.0 to +30.0) | +20.0 (+20.0 to "
        "+20.0) | not"
    )
    Results(tmp_path, "controlled-300").add(
        [{**row("baseline/stage1", seed, 0.3), "split": "scale=0.2"} for seed in range(2)]
    )
    assert (
        tables(tmp_path, seeds=2)["controlled"]
        .splitlines()[2]
        .endswith("not run | 30.0 ± 0.0 |  |  | not run |")
    )
    assert "(control) | 20.5 ± 6.4 | -20.0 (-20.0 to -20.0) | not run |  |" in found["small-birds"]
    assert "literal" not in found["small-birds"]

    Results(tmp_path, "cost-sketchbirds").add(
        [{**row("mgff", value=1.25), "metric": "times the linear head"}]
    )
    assert (
        "| MGFF, default | not run |  |  | not run |  |  | 0.000 M | 0.000 G | 1.25 |"
        in tables(tmp_path)["costs"]
    )

    split = "five folds"
    Results(tmp_path, "padding-sketchbirds").add(
        [{**row("padding=0.05", value=0.6), "metric": "mean IoU", "split": split}]
        + [{**row("baseline/padding=0.05/merged", seed, 0.8), "split": split} for seed in range(5)]
    )
    lines = tables(tmp_path)["padding"].splitlines()
    assert lines[3].endswith("| 0.600 | not run | not run | 80.0 ± 0.0 |") and lines[3].startswith(
        "| 5 % | not run |"
    )


def test_input_sizes_stand_in_order_and_the_usual_one_has_a_table_of_its_own(tmp_path):
    from mgff_tutorial.experiments.tables import tables

    names = [
        "central_box",
        "attended_object@280",
        "attended_object@96",
        "attended_object@224",
        "literal@224",
    ]
    rows = [
        {**row(name), "metric": metric}
        for name in names
        for metric in ("mean IoU", "IoU above 0.5")
    ]
    Results(tmp_path, "localisation_cub20").add(
        rows, {"literal@224/test/iou": np.array([0.4, 0.6], np.float32)}
    )
    found = tables(tmp_path)
    sizes = [
        line.split(" | ")[1]
        for line in found["vit-input-size"].splitlines()
        if line.startswith("| attended")
    ]
    assert sizes == ["96", "224", "280"]
    assert "@" not in found["localisation"] and "| 280 |" not in found["localisation"]
    assert "| central_box |  | 100 | 0.500 | 0.500 (0.40 to 0.60) |  |" in found["localisation"]
    assert (
        "| literal | 224 | 100 | 0.500 (-0.77 to 1.77) |" in found["localisation"]
    )  # t, two images, 0.1 * 12.7


def test_the_page_of_results_is_what_the_command_prints(tmp_path, capsys, monkeypatch):
    """Every table of data/results/README.md comes from the stored results; a number typed by hand
    fails here.
    """
    from mgff_tutorial.__main__ import main
    from mgff_tutorial.experiments import tables as module
    from mgff_tutorial.experiments.tables import marked, tables
    from mgff_tutorial.support.paths import results_dir

    home = results_dir()
    page = (home / "README.md").read_text(encoding="utf-8")
    stored, shown = tables(home), marked(page)
    photographs = stored["fine-tuned-photographs"].splitlines()
    assert sum(
        "(reported)" in line for line in photographs
    ) == 6 and "| MGFF, default | 85." in "\n".join(photographs)
    assert len({line.count("|") for line in photographs if line.startswith("|")}) == 1
    assert shown == stored, "run python -m mgff_tutorial ablate --show --update"
    assert main(["ablate", "--show", "--out", str(home)]) == 0
    assert capsys.readouterr().out.strip() == "\n\n".join(shown.values())
    section = page[: page.index("## The files")]
    for text in shown.values():
        section = section.replace(text, "")
    assert "\n|" not in section  # no table beside the marked ones
    monkeypatch.setattr(module, "tables", lambda folder, seeds: stored)  # seconds each time
    folder = tmp_path / "results"
    folder.mkdir()
    copies = folder / "README.md", tmp_path / "page.md"
    arguments = ["ablate", "--show", "--out", str(folder), "--update"]
    for copy, words in zip(copies, ([], [str(copies[1])])):
        copy.write_text(page.replace(shown["frozen-heads"], "old"), encoding="utf-8")
        assert main([*arguments, *words]) == 0 and copy.read_text(encoding="utf-8") == page
    copies[0].write_text("no marks here", encoding="utf-8")
    for words, message in (
        ([], "README.md has no mark for"),
        ([str(tmp_path / "none.md")], "none.md cannot be read"),
    ):
        assert main([*arguments, *words]) == 2
        assert message in capsys.readouterr().err


def test_a_file_of_another_version_stops_show_with_one_sentence(tmp_path, capsys):
    from mgff_tutorial.__main__ import main

    results = Results(tmp_path, "fusion-sketchbirds")
    results.add([row(seed=seed) for seed in range(3)], {"labels/test": np.zeros(3, np.uint8)})
    assert main(["ablate", "--show", "--out", str(tmp_path)]) == 0
    assert "50.0 ± 0.0 (3 of 5 seeds)" in capsys.readouterr().out
    good = results.path.read_text()
    for text, message in (
        (good.replace(",0.01,1,", ",0.01,2,"), "line 2 was written in version 2 of the format"),
        (good.replace("metric,", "measure,"), "not a results file of this version"),
        (good[:-60], "line 4"),
        ("", "not a results file of this version"),
    ):
        results.path.write_text(text)
        for extra in ([], ["--experiment", "fusion-sketchbirds"]):
            assert main(["ablate", "--show", "--out", str(tmp_path), *extra]) == 2
            error = capsys.readouterr().err
            assert (
                error.count("error:") == 1 and len(error.splitlines()) == 1 and message in error
            ), error
    results.path.unlink()
    assert main(["ablate", "--show", "--experiment", "fusion-cub20", "--out", str(tmp_path)]) == 2
    assert "holds no results of fusion-cub20; run the experiment first" in capsys.readouterr().err


def test_missing_stored_results_say_how_to_get_them_back():
    from mgff_tutorial.experiments.results import stored_results

    with pytest.raises(DataError, match="fusion-cub20-no_such.*git checkout -- data.results"):
        stored_results("fusion-cub20-no_such_backbone")
