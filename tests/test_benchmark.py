"""The benchmark runs, compares before it times, and reports what it measured."""

import json

import pytest
import torch
import torch.nn.functional as F

from mgff_tutorial.__main__ import main
from mgff_tutorial.benchmark import timing
from mgff_tutorial.benchmark.models import CASES, torchvision_swin
from mgff_tutorial.benchmark.profile import kind_of, profile_rows, time_by_kind
from mgff_tutorial.benchmark.report import report
from mgff_tutorial.swin import SwinTransformer

CPU = torch.device("cpu")


def test_quick_run_reports_every_version(tmp_path, capsys):
    path = tmp_path / "speed.json"
    assert (
        main(
            [
                "benchmark",
                "--quick",
                "--device",
                "cpu",
                "--batch",
                "2",
                "--format",
                "json",
                "--output",
                str(path),
            ]
        )
        == 0
    )
    result = json.loads(path.read_text())
    rows = {(r["version"], r["mode"]): r for r in result["rows"]}
    assert {v for v, m in rows if m == "forward"} == {
        "ours",
        "ours, optimised",
        "timm",
        "timm fused",
        "MGFF",
        "two stages",
    }
    train = {"ours", "ours, optimised", "timm", "timm fused", "MGFF"}
    assert {v for v, m in rows if m == "train"} == train
    assert all(r["ms"] > 0 and r["gflop_per_image"] > 0 for r in rows.values())
    assert (
        rows["ours", "forward"]["ratio"] == 1
        and rows["two stages", "forward"]["baseline"] == "MGFF"
    )
    ratio = rows["timm", "forward"]["ms"] / rows["ours", "forward"]["ms"]
    assert rows["timm", "forward"]["ratio"] == pytest.approx(ratio)
    flops = rows["ours", "forward"]["gflop_per_image"]
    assert rows["timm", "forward"]["gflop_per_image"] == pytest.approx(flops, rel=1e-3)
    assert rows["ours", "train"]["gflop_per_image"] == pytest.approx(3 * flops, rel=0.1)
    assert result["environment"]["torch"] == torch.__version__
    facts = result["environment"]
    table = [timing.Row(**r) for r in result["rows"]]
    assert report(table, facts, "markdown").splitlines()[1].startswith("| ---")
    assert len(report(table, facts).splitlines()) == len(table) + 4
    assert result.keys() == {"environment", "rows", "profiles"} and result["profiles"] == {}
    out, err = capsys.readouterr()
    measured, written = err.splitlines()[-2:]
    assert out == "" and written == f"written: {path}"
    assert measured.startswith(f"Measured {len(table)} rows, images per second (median of 2")
    for mode in ("forward", "train"):
        ours, timm = (rows[version, mode]["images_per_s"] for version in ("ours", "timm"))
        assert f"swin_nano @ 96, {mode}, float32: ours {ours:.1f}, timm {timm:.1f}" in measured


def test_a_stopped_run_shows_what_it_has_measured(tmp_path, monkeypatch):
    path, measure = tmp_path / "speed.json", timing.measure

    def stop(case, device, mode, *rest, **options):
        if mode == "train":
            raise KeyboardInterrupt
        return measure(case, device, mode, *rest, **options)

    monkeypatch.setattr(timing, "measure", stop)
    options = ["--quick", "--device", "cpu", "--batch", "1", "--swin-only", "--format", "json"]
    assert main(["benchmark", *options, "--output", str(path)]) == 130
    rows = json.loads(path.read_text())["rows"]
    assert {row["mode"] for row in rows} == {"forward"} and len(rows) >= 3


def test_wrong_numbers_get_a_sentence(capsys):
    assert main(["benchmark", "--quick", "--rounds", "0"]) == 2
    assert "--rounds must be an integer from 1 to 1000, got 0" in capsys.readouterr().err


def test_versions_that_disagree_are_not_timed():
    steps = {"ours": lambda: torch.ones(2, 3), "theirs": lambda: torch.tensor([[1.0, 1.0, 1.001]])}
    with pytest.raises(
        RuntimeError, match="theirs and ours disagree in float32: .* nothing was timed"
    ):
        timing.compare_outputs(steps, "float32", compiled=False)
    timing.compare_outputs({**steps, "theirs": steps["ours"]}, "float32", compiled=False)


def test_torchvision_gets_our_weights():
    torch.manual_seed(0)
    ours = SwinTransformer(num_classes=5).eval()
    theirs = torchvision_swin(CASES["swin_tiny"].torchvision, ours).eval()
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(theirs(x), ours(x), atol=1e-4, rtol=0)


def test_memory_of_a_known_step_and_turns():
    lying = torch.ones(64, 2**18)  # 64 MiB that do not count
    peak = timing.peak_memory(
        lambda: (torch.ones(64, 2**18) + lying).sum() + torch.ones(2**18).sum(), CPU
    )
    assert peak == pytest.approx(128, abs=0.1)
    turns = []
    times = timing.time_in_turn({n: lambda n=n: turns.append(n) for n in "ab"}, CPU, rounds=2)
    assert turns == list("ab" * 3) and set(times) == {"a", "b"}


def test_profile_names_where_the_time_goes():
    big, small = torch.randn(600, 600), torch.randn(8, 8)
    times = time_by_kind(lambda: (F.linear(big, big), small.softmax(-1)), CPU)
    assert next(iter(times)) == "linear layers" and times["softmax"] > 0
    names = {
        "aten::baddbmm": "products of windows",
        "aten::copy_": "copies and layout",
        "aten::addmm": "linear layers",
        "aten::_scaled_dot_product_flash_attention_for_cpu": "attention kernel",
        "aten::gelu": "element by element",
        "mkldnn::_linear_pointwise": "linear layers",
        "aten::native_layer_norm": "norms",
        "aten::view": "other",
    }
    assert {name: kind_of(name) for name in names} == names
    lines = profile_rows({"ours": {"softmax": 1.0, "norms": 20.0}, "timm": {"copies": 3.0}})
    assert lines == [
        ("milliseconds a batch", "ours", "timm"),
        ("norms", "20", "0"),
        ("copies", "0", "3"),
        ("softmax", "1", "0"),
        ("all", "21", "3"),
    ]


def test_profile_and_compiled_versions_are_in_the_report(capsys, monkeypatch):
    monkeypatch.setattr(timing, "compiler_missing", lambda device: "no compiler")
    arguments = [
        "benchmark",
        "--models",
        "swin_nano",
        "--steps",
        "forward",
        "--dtypes",
        "float32",
        "--rounds",
        "1",
        "--batch",
        "1",
        "--device",
        "cpu",
        "--profile",
    ]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert "torch.compile doesn't work here: no compiler" in printed.err
    for part in (
        "Where the time goes: swin_nano @ 96, forward, float32",
        "linear layers",
    ):
        assert part in printed.out
    compiled = torch.compile
    monkeypatch.setattr(timing, "compiler_missing", lambda device: None)
    monkeypatch.setattr(
        torch, "compile", lambda model, **options: compiled(model, backend="eager", **options)
    )
    assert main([*arguments, "--execution", "compiled", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [r["version"] for r in rows] == ["ours", "timm", "timm fused", "MGFF"] and all(
        r["compiled"] for r in rows
    )
