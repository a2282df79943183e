"""Where the time of a step goes, by kind of operation: what says why a ratio is what it is."""

import torch
from torch.profiler import ProfilerActivity, profile

# The first kind whose word stands in the operation's name; Triton's fused kernels on CUDA count as
# element by element.
KINDS = {
    "attention kernel": ("scaled_dot_product", "flash_", "fmha", "attention"),
    "softmax": ("softmax",),
    "products of windows": ("bmm", "baddbmm"),
    "linear layers": (
        "linear_pointwise",
        "addmm",
        "::mm",
        "gemm",
        "linear",
        "convolution",
        "cutlass",
        "nvjet",
    ),
    "norms": ("norm",),
    "copies and layout": ("copy", "clone", "cat", "roll", "contiguous", "pad", "index"),
    "element by element": (
        "add",
        "mul",
        "gelu",
        "tanh",
        "mean",
        "sub",
        "div",
        "sigmoid",
        "relu",
        "elementwise",
        "triton",
    ),
}


def kind_of(name):
    """Which of `KINDS` an operation belongs to, "other" if none."""
    name = name.lower()
    return next(
        (kind for kind, words in KINDS.items() if any(word in name for word in words)), "other"
    )


def time_by_kind(step, device):
    """{kind: milliseconds} of one ``step`` after a warm-up, the largest first; on CUDA the kernels'
    own time.
    """
    cuda = device.type == "cuda"
    step()
    with profile(activities=[ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * cuda) as profiler:
        step()
        if cuda:
            torch.cuda.synchronize(device)
    times = {}
    for event in profiler.key_averages():
        ms = (event.self_device_time_total if cuda else event.self_cpu_time_total) / 1000
        if ms > 0 and not (
            cuda and event.key.startswith("aten::")
        ):  # there the kernels below it are counted
            times[kind_of(event.key)] = times.get(kind_of(event.key), 0.0) + ms
    return dict(sorted(times.items(), key=lambda item: -item[1]))


def profile_rows(profiles):
    """Lines of a table from {version: `time_by_kind`}: a header, one line a kind, and the sum."""
    versions = list(profiles)
    kinds = sorted(
        {kind for times in profiles.values() for kind in times},
        key=lambda kind: -max(times.get(kind, 0.0) for times in profiles.values()),
    )
    return [
        ("milliseconds a batch", *versions),
        *((kind, *(f"{profiles[v].get(kind, 0.0):.0f}" for v in versions)) for kind in kinds),
        ("all", *(f"{sum(profiles[v].values()):.0f}" for v in versions)),
    ]
