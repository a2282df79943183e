"""The ratios that `benchmark` is to show, beside what a run measured: reached, missed, or how to
find out.
"""

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One ratio of times taken in one run: ``over`` / ``under``, two versions of Swin-B at 384.

    ``bound`` is what the ratio has to reach, at least, or with ``at_most`` at most.
    """

    what: str
    bound: float
    over: str
    under: str = "ours"
    mode: str = "forward"
    dtype: str = "float32"
    compiled: bool = False
    device: str = "cpu"
    at_most: bool = False


TARGETS = (
    Target("Swin-B 384 forward, CPU float32: timm as it comes over ours", 1.6, "timm"),
    Target("the same, timm with fused attention", 1.2, "timm fused"),
    Target("Swin-B 384 forward, CPU bf16: timm as it comes over ours", 1.4, "timm", dtype="bf16"),
    Target("the same, timm with fused attention", 1.15, "timm fused", dtype="bf16"),
    Target(
        "Swin-B 384 training step, CPU float32: timm as it comes over ours",
        1.4,
        "timm",
        mode="train",
    ),
    Target("MGFF-Swin-B over our Swin-B, forward, CPU float32", 1.10, "MGFF", at_most=True),
    Target(
        "two stages over one stage of MGFF-Swin-B, CPU float32",
        2.4,
        "two stages",
        "MGFF",
        at_most=True,
    ),
    Target(
        "Swin-B 384 forward, CUDA bf16, eager: timm as it comes over ours",
        1.25,
        "timm",
        dtype="bf16",
        device="cuda",
    ),
    Target(
        "the same, compiled against compiled",
        1.05,
        "timm",
        dtype="bf16",
        compiled=True,
        device="cuda",
    ),
)
IMPORTS = "import mgff_tutorial over import torch, timm"
NOTEBOOKS = "pytest --nbval notebooks, 2 cores, minutes"


@dataclass
class Line:
    """One line of the table: ``measured`` is None where this run can't tell, and ``result`` says
    why.
    """

    what: str
    target: str
    measured: float | None
    result: str


def judge(what, bound, measured, at_most):
    """A `Line` with the verdict; numbers are judged as they are, not as rounded."""
    reached = measured <= bound if at_most else measured >= bound
    return Line(
        what,
        f"at {'most' if at_most else 'least'} {bound:.2f}",
        measured,
        "reached" if reached else "missed",
    )


def target_lines(rows, device_type, imports=None):
    """The table for the rows of one run.

    Args:
        rows: `timing.Row`s. device_type: "cpu" or "cuda", where they were measured.
        imports: the ratio of `import_ratio`, if it was measured.

    Returns:
        A list of `Line`, one a target.
    """
    ms = {
        (r.version, r.mode, r.dtype, r.compiled): r.ms
        for r in rows
        if r.model == "swin_base_patch4_window12_384"
    }
    lines = []
    for t in TARGETS:
        over, under = (
            ms.get((version, t.mode, t.dtype, t.compiled)) for version in (t.over, t.under)
        )
        if device_type == t.device and over and under:
            lines.append(judge(t.what, t.bound, over / under, t.at_most))
        else:
            needed = f"needs {t.device.upper()}" if device_type != t.device else "not in this run"
            lines.append(
                Line(t.what, f"at {'most' if t.at_most else 'least'} {t.bound:.2f}", None, needed)
            )
    if imports is None:
        lines.append(Line(IMPORTS, "at most 1.15", None, "not in this run"))
    else:
        lines.append(judge(IMPORTS, 1.15, imports, at_most=True))
    return [*lines, Line(NOTEBOOKS, "under 8", None, "time that command")]


def import_ratio(rounds=3):
    """Time of ``import mgff_tutorial`` over that of ``import torch, timm``, fresh processes in
    turn, medians.
    """
    seconds = {"import torch, timm": [], "import mgff_tutorial": []}
    for _ in range(rounds + 1):
        for statement, values in seconds.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True)
            values.append(time.perf_counter() - start)
    baseline, ours = (
        statistics.median(values[1:]) for values in seconds.values()
    )  # the first fills the disk cache
    return ours / baseline
