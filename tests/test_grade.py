"""Grading: a class of made-up students, values between processes, what submissions can't do."""

import csv
import io
import json
import os
import random

import numpy as np
import pytest
import torch
from exercises import CHECKS, FOLDER
from PIL import Image
from submissions import ANSWERS, SOLUTIONS, write_class
from torch import nn

from mgff_tutorial.__main__ import main
from mgff_tutorial.checks.core import ask, exercise, expect, expect_close, without
from mgff_tutorial.teaching import grading, landlock, processes, wire
from mgff_tutorial.teaching.answers import Answers, Broken, Missing, plain_python
from mgff_tutorial.teaching.grading import OUTCOMES, grade
from mgff_tutorial.teaching.processes import CAN_FORK
from mgff_tutorial.teaching.submissions import find_submissions, sheets

pytestmark = pytest.mark.usefixtures("one_nursery")


@pytest.fixture(scope="module")
def class_of_students(tmp_path_factory, one_nursery):
    folder = tmp_path_factory.mktemp("class")
    expected = write_class(folder / "handed_in")
    out = folder / "marks.csv"
    arguments = ["grade", str(folder / "handed_in"), "--notebook", "08", "--seconds", "2"]
    code = main([*arguments, "--csv", str(out), "--seed", "5", "--quiet"])
    with open(out, newline="") as stream:
        return expected, list(csv.DictReader(stream)), code


def test_every_student_gets_what_is_due(class_of_students):
    expected, rows, code = class_of_students
    assert code == 1  # some could not be graded as a whole
    assert len(expected) >= 30
    assert {row["submission"] for row in rows} == set(expected)
    for name, due in expected.items():
        own = [row for row in rows if row["submission"] == name]
        if isinstance(due, str):
            assert len(own) == 1 and own[0]["exercise"] == "" and own[0]["outcome"] == "error"
            assert due in own[0]["message"]
        else:
            assert {r["exercise"]: r["outcome"] for r in own} == due, (name, own)
            for row in own:
                assert (float(row["points"]) > 0) == (row["outcome"] == "correct")
                assert bool(row["message"]) == (row["outcome"] != "correct")


def test_messages_say_what_happened(class_of_students):
    said = {r["submission"]: r["message"] for r in class_of_students[1] if r["exercise"] == "8.1"}
    for name, words in (
        ("hostile_imports_the_answer", "mgff_tutorial.graph can't be imported"),
        ("hostile_imports_the_check", "it holds the checks"),
        ("hostile_exit", "leaves the program"),
        ("hostile_base_exception", "raised Mine: an error of my own"),
        ("hostile_forks", "can't start a process"),
        ("hostile_eats_memory", "memory"),
        ("hostile_fills_the_disk", "can write 100 files only"),
        ("hostile_endless_result", "can't be handed over"),
        ("hostile_os_exit", "ended by itself"),
        ("hostile_reads_solutions", "can't read solutions"),
        ("hostile_kills_the_grader", "can't send signals"),
        ("hostile_starts_programs", "can't start a program"),
        ("hostile_memory", "memory"),
        ("slow_sleep", "no result within 2 seconds"),
        ("wrong_print", "use return, not print"),
        ("raises", "in the line: def adjacency"),
        ("empty", "no adjacency"),
        ("untouched", "returns None"),
        ("broken_file", "can't be compiled"),
    ):
        assert words in said[name], (name, said[name])


def test_all_solutions_are_correct_on_any_seed():
    """Those of the notebooks; `test_swap` grades those of the assignments."""
    rows = grade(sorted(FOLDER.glob("solutions_*.py")), seed=random.randrange(10**6))
    assert [(r.outcome, r.message) for r in rows] == [("correct", "")] * len(CHECKS)


@pytest.mark.parametrize("fork", [False, CAN_FORK])
def test_processes_with_and_without_fork(fork, tmp_path, monkeypatch):
    """Each way gives marks, ends what does not end, and leaves no process and no folder."""
    folders, ended = [], []

    class Watched(processes.Starter):
        def __init__(self, memory):
            super().__init__(memory, fork)

        def start(self):
            process = super().start()
            folders.append(process._folder.name)
            ended.append(process)
            return process

    monkeypatch.setattr(grading, "Starter", Watched)
    path = tmp_path / "student.py"
    path.write_text(SOLUTIONS + "\ndef adjacency(links):\n    while True: pass\n")
    rows = grade([path], "08", seconds=2)
    assert [row.outcome for row in rows] == ["timed out", *["correct"] * (len(ANSWERS) - 1)]
    assert len(folders) == 3  # one that was killed, one for the rest, and one ahead
    assert not any(os.path.exists(folder) for folder in folders)
    assert {process.code() for process in ended} == {-9}


def one(tmp_path, source, check, seconds=20, **options):
    """The row of a sheet with one exercise, for a check that a test made."""
    path = tmp_path / "student_08.py"
    path.write_text(source, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        known = {"08": [check]}
        patch.setattr(grading, "sheets", lambda: known)
        (row,) = grade([path], "08", seconds=seconds, **options)
    return row


def test_gradients_parameters_and_buffers_of_a_students_module(tmp_path):
    @exercise("Exercise 8.9", answer="Layer")
    def check_layer(layer):
        model = ask(layer, 3, 2)
        assert isinstance(model, nn.Module) and model.inner.weight.shape == (2, 3)
        x = torch.linspace(-1, 1, 15).view(5, 3).requires_grad_()
        with torch.no_grad():
            model.inner.weight.fill_(2.0)  # changed here, used there
        y = ask(model, x)
        expect_close("y", y, 2 * x.sum(1, keepdim=True).expand(5, 2) + model.inner.bias)
        y.square().sum().backward()
        reference = nn.Linear(3, 2)
        reference.load_state_dict(model.inner.state_dict())
        again = x.detach().requires_grad_()
        reference(again).square().sum().backward()
        expect_close("gradient", x.grad, again.grad)
        expect_close("gradient of weight", model.inner.weight.grad, reference.weight.grad)
        expect(model.unused.grad is None, "unused")
        expect(int(model.calls) == 1, "buffer")
        model.eval()
        ask(model, x)
        expect(int(model.calls) == 1 and model.name() == "Layer", "evaluation mode")
        optimiser = torch.optim.SGD(model.parameters(), 0.1)
        losses = []
        for _ in range(3):
            optimiser.zero_grad()
            loss = model(x.detach()).square().mean()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        expect(losses[2] < losses[0], "does not learn")

    source = """
import torch
from torch import nn
class Layer(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.inner = nn.Linear(a, b)
        self.unused = nn.Parameter(torch.zeros(1))
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))
    def forward(self, x):
        if self.training:
            self.calls += 1
        return self.inner(x)
    def name(self):
        return type(self).__name__
"""
    row = one(tmp_path, source, check_layer)
    assert (row.outcome, row.message) == ("correct", "")


def test_graphs_are_kept_as_long_as_here(tmp_path):
    @exercise("Exercise 8.9", answer="square")
    def check_square(square):
        x = torch.ones(2, requires_grad=True)
        y = ask(square, x)
        (first,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
        (second,) = torch.autograd.grad(y.sum(), x)
        expect_close("gradients", first, second)
        with pytest.raises(RuntimeError, match="a second time"):
            torch.autograd.grad(y.sum(), x)

    row = one(tmp_path, "def square(x): return x**2", check_square)
    assert (row.outcome, row.message) == ("correct", "")


def test_a_model_of_the_check_is_trained_over_there(tmp_path):
    @exercise("Exercise 8.9", answer="fit")
    def check_fit(fit):
        model, seen = nn.Linear(2, 1), []
        model.register_forward_hook(lambda m, x, y: seen.append(len(x[0])))
        start = model.weight.detach().clone()
        losses = ask(fit, model, torch.ones(4, 2), torch.zeros(4, 1))
        expect(seen == [4, 4, 4], f"passes {seen}")
        expect(losses[2] < losses[0], "no progress")
        expect(not torch.equal(model.weight, start), "weights are the old ones")
        expect(model.weight.grad is not None and not model.training, "gradients or mode")

    source = """
import torch
def fit(model, x, y):
    optimiser, losses = torch.optim.SGD(model.parameters(), 0.1), []
    for _ in range(3):
        optimiser.zero_grad()
        loss = (model(x) - y).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    model.eval()
    return losses
"""
    row = one(tmp_path, source, check_fit)
    assert (row.outcome, row.message) == ("correct", "")


def test_changed_arguments_and_random_states_come_back(tmp_path):
    from mgff_tutorial.checks.core import ask_in_place, random_state_untouched

    @exercise("Exercise 8.9", answer="spoil")
    def check_spoil(spoil):
        values = [torch.zeros(2), [1, 2], {"a": np.zeros(2)}, {1}]
        with random_state_untouched():
            ask_in_place(spoil, *values, draw=False)
        assert torch.equal(values[0], torch.ones(2)) and values[1] == [1, 2, 3]
        assert values[2]["a"].tolist() == [1, 1] and values[2]["b"] == 1 and values[3] == {1, 2}
        torch.manual_seed(3)
        expected = torch.rand(2)
        torch.manual_seed(3)
        expect_close("drawn", ask_in_place(spoil, *values, draw=True), expected)
        with random_state_untouched():
            ask_in_place(spoil, *values, draw=True)

    source = """
import torch
torch.manual_seed(99)
TABLE = torch.rand(5)
def spoil(tensor, items, table, some, draw):
    TABLE.sum()
    tensor += 1
    items.append(3)
    table["a"] += 1
    table["b"] = 1
    some.add(2)
    return torch.rand(2) if draw else 1
"""
    row = one(tmp_path, source, check_spoil)
    assert row.outcome == "wrong" and "global random state" in row.message


def test_functions_to_do_without(tmp_path):
    @exercise("Exercise 8.9", answer="blur")
    def check_blur(blur):
        with without("torch.nn.functional.conv2d", "torch.conv2d"):
            ask(blur, torch.ones(1, 1, 3, 3))

    for source in (
        "import torch\ndef blur(x): return torch.conv2d(x, x)",
        "from torch.nn.functional import conv2d\ndef blur(x): return conv2d(x, x)",
    ):
        row = one(tmp_path, source, check_blur)
        assert row.outcome == "wrong" and "uses conv2d; this exercise asks" in row.message
        space = {}
        exec(source, space)
        assert "uses conv2d" in check_blur.judge(space["blur"]).hint
    assert torch.conv2d(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2)).item() == 4
    assert check_blur.judge(lambda x: x).result == "correct"


KERNEL = [
    f"torch.from_file({str(FOLDER / 'swap.py')!r}, False, 9, dtype=torch.uint8)",
    f"os.open('solutions/swap.py', 0, dir_fd=os.open({str(FOLDER.parent)!r}, 0))",
    "signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 0)",
    "os.open(f'{os.getppid()}/environ', 0, dir_fd=os.open('/proc', 0))",
]


@pytest.mark.skipif(landlock.version() < 6, reason="needs Landlock of Linux 6.12")
@pytest.mark.parametrize("call", KERNEL)
def test_the_kernel_refuses_what_python_does_not_see(tmp_path, call):
    @exercise("Exercise 8.9", answer="answer")
    def check_call(answer):
        ask(answer)

    source = f"import os, signal, torch\ndef answer():\n    {call}\n    return 1\n"
    row = one(tmp_path, source, check_call)
    assert row.outcome == "error"
    assert "Permission denied" in row.message or "not permitted" in row.message


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="needs Linux")
@pytest.mark.parametrize(
    "call, words",
    [
        ("open(f'/proc/{os.getppid()}/environ').read()", "can't read"),
        (
            "_posixsubprocess.fork_exec([b'true'], [b'/bin/true'], True, (), None, None, -1, -1, "
            "-1, -1, -1, -1, 8, 9, False, False, -1, None, None, None, -1, None, True)",
            "can't start a process",
        ),
        ("context.Process(target=print).start()", "can't start a process"),
        ("sys.modules.pop('_posixsubprocess') and __import__('_posixsubprocess')", "can't start"),
        ("os.posix_spawn('/bin/true', ['true'], {})", "can't start a program"),
        ("sys.addaudithook(lambda *a: None) or open(other)", "can't read"),
        ("os.link(other, 'mine')", "own folder only"),
        ("np.memmap(other)", "own folder only"),
        ("socket.socket(socket.AF_UNIX).bind('mine')", "can't use the network"),
        ("ctypes.CDLL(None)", "can't load libraries"),
        ("sys.meta_path.clear() or exec(GRAPH)", "can't read|can't be imported|No module named"),
        ("signal.raise_signal(signal.SIGKILL)", "was ended"),
        ("os.closerange(0, 256)", "ended by itself|was ended"),
        ("ctypes.string_at(0)", "SIGSEGV"),
        ("[x := [], [x := [x] for _ in range(9**5)]] and x", "RecursionError"),
        ("torch.zeros(2, 2).to_sparse()", "to_dense"),
    ],
)
def test_ways_around_the_fence(tmp_path, call, words):
    @exercise("Exercise 8.9", answer="answer")
    def check_call(answer):
        ask(answer)

    source = (
        "import _posixsubprocess, ctypes, multiprocessing, os, signal, socket, sys\n"
        "import numpy as np\nimport torch\n"
        f"other = {str(FOLDER / 'swap.py')!r}\n"
        "GRAPH = 'import mgff_tutorial.graph'\n"
        "context = multiprocessing.get_context('spawn')\n"
        f"def answer():\n    return {call}\n"
    )
    row = one(tmp_path, source, check_call)
    assert row.outcome == "error"
    assert any(part in row.message for part in words.split("|")), row.message


EQUAL = """
class Equal(float):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __sub__(self, other): return 0.0
    def __rsub__(self, other): return 0.0
    def __le__(self, other): return True
class Tensor(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function.__name__ in ("allclose", "equal", "eq", "isfinite"):
            return True
        return super().__torch_function__(function, types, args, kwargs or {})
class Array(np.ndarray):
    def __eq__(self, other): return True
    def __sub__(self, other): return np.zeros(1)
class Anything:
    shape, dtype = (4, 4), torch.float32
    def __eq__(self, other): return True
    def __array__(self, *args, **options): return np.eye(4)
    def __float__(self): return 1.0
"""


@pytest.mark.parametrize(
    "result",
    [
        *("[[Equal(7) for _ in row] for row in links]", "torch.full_like(links, float('nan'))"),
        *("torch.full_like(links, float('nan')).as_subclass(Tensor)", "Anything()"),
        *("np.full(links.shape, np.nan).view(Array)", "torch.full_like(links, float('inf'))"),
    ],
)
def test_objects_that_equal_everything_are_wrong(tmp_path, result):
    path = tmp_path / "student_08.py"
    path.write_text(
        f"import numpy as np\nimport torch\n{EQUAL}\ndef adjacency(links): return {result}"
    )
    assert grade([path], seconds=20)[0].outcome == "wrong"


def test_installed_libraries_can_be_loaded(tmp_path):
    """Both bring libraries of their own, which Python loads with ctypes."""

    @exercise("Exercise 8.9", answer="overlap")
    def check_overlap(overlap):
        expect_close("overlap", ask(overlap, torch.tensor([[0.0, 0, 2, 2]])), [[1.0]])

    source = (
        "import timm\nfrom torchvision.ops import box_iou\nNAME = timm.__name__\n"
        "def overlap(boxes): return box_iou(boxes, boxes) if NAME else 0\n"
    )
    row = one(tmp_path, source, check_overlap, seconds=120)
    assert (row.outcome, row.message) == ("correct", "")


def test_a_check_that_breaks_stops_nothing(tmp_path):
    @exercise("Exercise 8.9", answer="answer")
    def check_badly(answer):
        undefined  # noqa: B018, F821

    row = one(tmp_path, "def answer(): return 1", check_badly)
    assert row.outcome == "error" and "can't judge this answer (NameError" in row.message


def test_hidden_inputs_depend_on_the_seed_alone(tmp_path):
    from mgff_tutorial.checks.core import draw

    seen = []

    @exercise("Exercise 8.9", answer="answer")
    def check_draws(answer):
        seen.append(torch.rand((), generator=draw()).item())
        ask(answer)

    for seed in (1, 1, 2, None, None):
        one(tmp_path, "def answer(): return 1", check_draws, seed=seed)
    assert seen[0] == seen[1] and len(set(seen)) == 4


VALUES = [
    *(None, True, 3, -(2**70), 0.1, float("inf"), "text", 1 + 2j, b"bytes", bytearray(b"x"), ...),
    *((), (1, [2, {"a": (3,)}]), {1, 2}, frozenset({3}), {1: 2, (3, 4): 5}, range(1, 9, 2)),
    *(
        torch.Size([2, 3]),
        torch.float16,
        np.arange(6).reshape(2, 3),
        np.float32(0.5),
        np.array("a"),
    ),
    *(torch.rand(2, 3).bfloat16(), torch.zeros(0, 4), torch.tensor(5), torch.rand(3) > 0.5),
    *(torch.rand(2, 3).T, torch.rand(2, dtype=torch.complex64), np.zeros((0, 2), np.uint8)),
    Image.new("RGB", (3, 2), (1, 2, 3)),
]


def through(value):
    stream, packer = io.BytesIO(), wire.Packer(lambda value, packer: {"number": 1})
    wire.send(stream, {"kind": "test", "value": packer.pack(value)}, packer.blobs)
    stream.seek(0)
    message, blobs = wire.receive(stream)
    return wire.Unpacker(blobs, lambda item, unpacker: "an object").unpack(message["value"])


@pytest.mark.parametrize("value", VALUES, ids=lambda v: type(v).__name__)
def test_values_travel_unchanged(value):
    got = through(value)
    assert type(got) is type(value) or isinstance(value, Image.Image)
    if isinstance(value, torch.Tensor):
        assert got.dtype == value.dtype and torch.equal(got, value)
    elif isinstance(value, np.ndarray):
        assert got.dtype == value.dtype and np.array_equal(got, value)
    elif isinstance(value, Image.Image):
        assert (got.mode, got.size, got.tobytes()) == (value.mode, value.size, value.tobytes())
    else:
        assert got == value


def test_what_is_not_plain_is_no_value():
    assert through(object()) == "an object"
    assert list(through(wire.exhausted(x for x in (1, 2)))) == [1, 2]
    assert through(wire.exhausted([1])) == [1]
    assert type(through(np.bool_(True))) is np.bool_
    with pytest.raises(TypeError):
        through(torch.ones(2, 2).to_sparse())
    for large in (range(10**15), "x" * 2**25):  # small here, large where a check reads them
        with pytest.raises(ValueError, match="can't be handed over"):
            through(large)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x00" * 4,
        b"\xff" * 8,
        b"\x00\x00\x00\x10" + b"\x00" * 4 + b"[" * 2**20,
        b"\x02" + b"\x00" * 7 + b"{}",
        b"\x02" + b"\x00" * 7 + b"[[",
        b"Exercise 8.1: correct.",
    ],
)
def test_frames_of_another_kind(frame):
    with pytest.raises((EOFError, wire.Stopped)):
        wire.receive(io.BytesIO(frame))


@pytest.mark.parametrize(
    "item",
    [
        [1],
        {"t": "code"},
        {},
        {"t": "tensor", "blob": 0, "dtype": "float32", "shape": [3], "grad": False},
        {"t": "tensor", "blob": 0, "dtype": "object", "shape": [1], "grad": False},
        {"t": "tensor", "blob": 9, "dtype": "float32", "shape": [1], "grad": False},
        {"t": "tensor", "blob": 0, "dtype": "bool", "shape": [-7], "grad": False},
        {"t": "array", "blob": 0, "dtype": "O", "shape": [1]},
        {"t": "array", "blob": 0, "dtype": "<f4", "shape": [10**12]},
        {"t": "image", "blob": 0, "mode": "RGB", "size": [10**6, 10**6]},
        {"t": "set", "v": [{"t": "list", "v": []}]},
        {"t": "int", "v": "cafe?"},
        {"t": "range", "v": [0, 1, 0]},
        {"t": "range", "v": [0, 10**15, 1]},
    ],
)
def test_values_of_another_kind(item):
    with pytest.raises(wire.Nonsense):
        wire.Unpacker([b"\0" * 8], lambda item, unpacker: None).unpack(item)


def test_only_what_an_answer_needs_is_run():
    answers = Answers(
        [
            "import math\nraise RuntimeError('a cell that fails')\nprint('drawing')",
            "%matplotlib inline\nfrom nowhere import helper\nBASE = [1]\nBASE.append(2)",
            "def first(x): return second(x) + BASE[1]",
            "def second(x): return math.floor(x)\nwhile True: pass",
            "%%bash\nrm -rf everything",
            "def third(x): return helper(x)",
            "def broken(: pass",
            "x = nothing()\nhelp_ = [x for x in 5]\nassert False, second",
            "check_other(lambda x: 5)",
            "def twice(): return 1\ndef twice(): return 2",
        ]
    )
    assert answers.get("first", "check_first")(3.5) == 5
    assert answers.get("other", "check_other")(1) == 5
    assert answers.get("twice", "check_twice")() == 2
    assert not hasattr(answers.module, "x") and answers.why("first") == []
    answers.get("third", "check_third")
    assert "No module named 'nowhere'" in answers.why("third")[0]
    with pytest.raises(Broken, match="can't be compiled"):
        answers.get("broken", "check_broken")
    with pytest.raises(Missing, match="no fourth"):
        answers.get("fourth", "check_fourth")
    for source, plain in (
        ("x = 1\n!ls\n", "x = 1\npass\n"),
        ("%%time\nx = 1", "pass\nx = 1\n"),
        ("if x:\n    files = !ls\n  \n?x\nx.y??\n", "if x:\n    files = None\n  \npass\npass\n"),
        ("x = (7\n% 4)\n", "x = (7\n% 4)\n"),  # no command, and so left alone
    ):
        assert plain_python(source) == plain


def test_imports_from_the_future_hold_for_all_cells():
    answers = Answers(["from __future__ import annotations", "def first(x: Unknown): return x"])
    assert answers.get("first", "check_first")(3) == 3 and answers.why("first") == []


def test_which_sheet_a_file_belongs_to(tmp_path):
    for name, text, sheet in (
        ("alice_08_sheet.py", "", "08"),
        ("bob.py", SOLUTIONS, "08"),
        ("carol.py", "def iou(a, b): ...", "11"),
    ):
        (tmp_path / name).write_text(text)
        (found,) = find_submissions([tmp_path / name])
        assert (found.sheet, found.problem) == (sheet, "")
    (found,) = find_submissions([tmp_path / "carol.py"], "08")
    assert found.problem == "carol.py holds answers to notebook 11, not 08."
    (tmp_path / "dora.py").write_text("x = 1")
    (found,) = find_submissions([tmp_path / "dora.py"])
    assert "--notebook" in found.problem
    assert [c.exercise.answer for c in sheets()["08"]] == ANSWERS


def test_folders_of_students_and_paths_that_hold_nothing(tmp_path):
    for name in ("ann/08_gcn_head.py", "ben/08_gcn_head.py", "ben/.ipynb_checkpoints/08_x.py"):
        (tmp_path / "class" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "class" / name).write_text(SOLUTIONS)
    (tmp_path / "class" / "cleo").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "essay.txt").write_text("")
    paths = [tmp_path / n for n in ("class", "empty", "essay.txt", "gone.ipynb")]
    (tmp_path / "names").mkdir()
    try:
        (tmp_path / "names" / os.fsdecode(b"caf\xe9.py")).write_text(SOLUTIONS)
    except OSError:  # a system that keeps such names out
        (tmp_path / "names" / "caf?.py").write_text(SOLUTIONS)
    (tmp_path / "names" / "a\nb.py").write_text(SOLUTIONS)
    assert [s.name for s in find_submissions([tmp_path / "names"])] == ["a?b", "caf?"]
    (tmp_path / "class" / "dan.zip").write_bytes(b"PK")
    (tmp_path / "class" / "marks.csv").write_text("")
    (tmp_path / "class" / "ELSE.PY").write_text(SOLUTIONS)
    found = {s.name: s.problem for s in find_submissions(paths)}
    assert found.pop("ELSE") == "" and "dan.zip is no submission" in found.pop("dan")
    assert found.pop("ann/08_gcn_head") == found.pop("ben/08_gcn_head") == ""
    assert set(found) == {"cleo", "empty", "essay", "gone"}
    assert "does not exist" in found["gone"] and "is no submission" in found["essay"]
    assert "holds no submission" in found["empty"] and "holds no submission" in found["cleo"]


def test_json_and_bad_arguments(tmp_path, capsys):
    path = tmp_path / "=cmd.py"
    path.write_text("def adjacency(links): return links\n")
    assert main(["grade", str(path), "--json", "--notebook", "8", "--seed", "1", "--quiet"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert out["seed"] == 1 and len(out["rows"]) == len(ANSWERS)
    assert out["submissions"] == [
        {"submission": "=cmd", "points": 0, "out_of": out["submissions"][0]["out_of"]}
    ]
    assert out["exercises"][0] == {
        "exercise": "8.1",
        **dict.fromkeys(OUTCOMES, 0),
        "wrong": 1,
    }
    marks = tmp_path / "marks.csv"
    arguments = ["grade", str(path), "--csv", str(marks), "--quiet"]
    assert main([*arguments, "--notebook", "08"]) == 0
    assert marks.read_text().splitlines()[1].startswith("'=cmd,8.1,wrong,0,")
    assert "8.1 " in capsys.readouterr().out
    assert main([*arguments, "--notebook", "08"]) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["grade", str(path), "--notebook", "99"]) == 2
    assert "Unknown notebook '99'" in capsys.readouterr().err
    assert main(["grade", str(path), "--seconds", "0"]) == 2
    assert main(["grade", str(tmp_path / "gone"), "--quiet"]) == 1
    assert "does not exist" in capsys.readouterr().out
