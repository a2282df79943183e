"""Times of models taken in turn, with what they need and what the device could do: rows of the
benchmark.
"""

import copy
import math
import platform
import statistics
import time
import weakref
from dataclasses import dataclass
from functools import partial

import timm
import torch
import torch.nn.functional as F
import torchvision
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..support.device import processor, seed_everything
from ..support.fast import count_flops, linear, optimise
from .models import swin_versions, system_versions
from .profile import time_by_kind

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
TOLERANCE = {
    "float32": 1e-4,
    "bf16": 5e-2,
}  # largest difference of outputs, relative to the largest output


@dataclass
class Row:
    """One line of the result; times in milliseconds for a batch, ``ratio`` is time over the time of
    ``baseline``.
    """

    model: str
    version: str
    mode: str
    dtype: str
    compiled: bool
    size: int
    batch: int
    ms: float
    images_per_s: float
    ratio: float
    baseline: str
    memory_mib: float | None
    gflop_per_image: float
    share_of_ceiling: float


def make_step(model, images, mode, dtype):
    """A function without arguments that does what is timed; forward steps return their output.

    Args:
        model: the module. images: (B, 3, H, W).
        mode: ``"forward"`` (no gradients) or ``"train"`` (forward, cross-entropy, backward, SGD
            update of size 0).
        dtype: a key of ``DTYPES``.
    """

    cast = partial(torch.autocast, images.device.type, torch.bfloat16, enabled=dtype == "bf16")
    if mode == "forward":

        def step():
            with torch.no_grad(), cast():
                return model(images)

        return step
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    labels = torch.arange(len(images), device=images.device)

    def step():
        with cast():
            loss = F.cross_entropy(model(images).float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def time_once(step, device):
    """Seconds that one call takes: events on CUDA, the clock elsewhere."""
    if device.type == "cuda":
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        step()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1000
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def time_in_turn(steps, device, rounds):
    """{version: median seconds}: one warm-up each, then every version once a round, so that all
    share the weather.
    """
    for step in steps.values():
        step()
    taken = [[time_once(step, device) for step in steps.values()] for _ in range(rounds)]
    return dict(zip(steps, map(statistics.median, zip(*taken))))


class LiveTensors(TorchDispatchMode):
    """Adds up the bytes of all tensors made inside it that are still alive; ``peak`` is the most at
    any time.

    The system's own figures won't do on a CPU: freed memory stays with the process and is used
    again.
    """

    def __init__(self):
        super().__init__()
        self.sizes, self.now, self.peak = {}, 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self._see((args, kwargs), made=False)
        result = function(*args, **(kwargs or {}))
        self._see(result, made=True)
        return result

    def _see(self, values, made):
        for value in tree_leaves(values):
            if isinstance(value, torch.Tensor):
                storage = value.untyped_storage()
                if storage._cdata not in self.sizes:
                    self.sizes[storage._cdata] = storage.nbytes() if made else 0
                    self.now += self.sizes[storage._cdata]
                    self.peak = max(self.peak, self.now)
                    weakref.finalize(storage, self._forget, storage._cdata)

    def _forget(self, key):
        self.now -= self.sizes.pop(key, 0)


def peak_memory(step, device):
    """MiB of tensors that one step needs beyond what lies in memory before it; None on MPS."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    if device.type != "cpu":
        return None
    with LiveTensors() as live:
        step()
    return live.peak / 2**20


def matmul_ceiling(device, dtype, repeats=5):
    """The best rate of a large matrix product here, in floating-point operations a second, by any
    library at hand.
    """
    side = 8192 if device.type == "cuda" else 1536
    a, b = (torch.randn(side, side).to(device, DTYPES[dtype]) for _ in range(2))
    best = math.inf
    with torch.no_grad():
        for by in (linear, F.linear):
            by(a, b)
            best = min([best, *(time_once(lambda: by(a, b), device) for _ in range(repeats))])
    return 2 * side**3 / best


def compare_outputs(steps, dtype, compiled):
    """Fail unless every version gives the first one's logits."""
    outputs = {name: step().float() for name, step in steps.items()}
    first = next(iter(outputs))
    for name, output in outputs.items():
        gap = ((output - outputs[first]).abs().max() / outputs[first].abs().max()).item()
        if not gap <= TOLERANCE[dtype]:
            raise RuntimeError(
                f"{name} and {first} disagree in {dtype}{' compiled' if compiled else ''}: "
                f"the largest "
                f"difference is {gap:.1e} of the largest output; nothing was timed."
            )


def measure(
    case, device, mode, dtype, compiled, batch, rounds, ceiling, systems=True, profiles=None
):
    """Rows of one case: every version of its Swin, then (``systems``) MGFF and the two stages.

    A dict ``profiles`` gets {title: {version: `time_by_kind`}} of ours, of timm with fused
    attention and of MGFF.
    """
    seed_everything(0)
    images = torch.randn(batch, 3, case.size, case.size).to(device)
    models = swin_versions(case)
    if device.type == "cpu" and (dtype, compiled) == ("float32", False):
        quick = copy.deepcopy(models["ours"]).eval()
        models["ours, optimised"] = optimise(quick, images)
    if systems:
        models.update(system_versions(case))
    if mode == "train" or compiled:  # its parts train, boxes and crops are no graph
        models.pop("two stages", None)
    for name, model in models.items():
        model.to(device).train(mode == "train")
        if compiled:
            models[name] = torch.compile(model, dynamic=False)
    same = {
        name: make_step(m.eval(), images, "forward", dtype)
        for name, m in models.items()
        if name not in ("MGFF", "two stages")
    }
    compare_outputs(same, dtype, compiled)
    steps = {
        name: make_step(m.train(mode == "train"), images, mode, dtype) for name, m in models.items()
    }
    plain = {
        name: make_step(getattr(m, "_orig_mod", m), images, mode, dtype)
        for name, m in models.items()
    }
    seconds = time_in_turn(steps, device, rounds)
    rows = []
    for name, step in steps.items():
        flops, baseline = count_flops(plain[name]), "MGFF" if name == "two stages" else "ours"
        memory = peak_memory(step if device.type == "cuda" else plain[name], device)
        rows.append(
            Row(
                case.swin,
                name,
                mode,
                dtype,
                compiled,
                case.size,
                batch,
                1000 * seconds[name],
                batch / seconds[name],
                seconds[name] / seconds[baseline],
                baseline,
                memory,
                flops / batch / 1e9,
                flops / seconds[name] / ceiling,
            )
        )
    if profiles is not None:
        title = f"{case.swin} @ {case.size}, {mode}, {dtype}{' compiled' if compiled else ''}"
        profiles[title] = {
            name: time_by_kind(steps[name], device)
            for name in ("ours", "timm fused", "MGFF")
            if name in steps
        }
    return rows


def compiler_missing(device):
    """Why ``torch.compile`` doesn't work here, in one line, or None: on a CPU it needs a C++
    compiler.
    """
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.ones(3).to(device))
    except Exception as error:  # of many kinds, by version and device
        return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return None


def environment(device):
    """What the figures depend on: versions, device, threads, date."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {
        "device": f"{device.type}: {name}",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "timm": timm.__version__,
        "torchvision": torchvision.__version__,
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }
