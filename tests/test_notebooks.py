"""The notebooks as documents: what a reader would stumble over, whatever the code in them
computes.
"""

import builtins
import importlib
import json
import re
import runpy
import shutil
import symtable
from pathlib import Path

import pytest
from notebook_cells import FOLDER, definitions, source

NOTEBOOKS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))
EXPECTED = [
    "00_start_here",
    "01_patches",
    "02_window_attention",
    "03_shifted_windows",
    "04_swin",
    "05_granularities",
    "06_self_attention",
    "07_channel_attention",
    "08_gcn_head",
    "09_mgff",
    "10_vit_attention",
    "11_cropper",
    "12_two_stage",
    "13_datasets",
    "14_training",
    "15_experiments",
    "16_your_own_data",
]
TEACHES = {
    "01": ["patches"],
    "02": ["windows"],
    "03": ["windows"],
    "04": ["swin"],
    "05": ["align"],
    "06": ["attention"],
    "07": ["attention"],
    "08": ["graph"],
    "09": ["mgff"],
    "10": ["response"],
    "11": ["cropper"],
    "12": ["two_stage"],
}
NOT_COMPARED = {"nbval-ignore-output", "nbval-skip"}


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def tags(cell):
    return set(cell["metadata"].get("tags", []))


def code_cells(path):
    return [c for c in load(path) if c["cell_type"] == "code"]


each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def test_all_notebooks_are_there():
    assert [p.stem for p in NOTEBOOKS] == EXPECTED


@each
def test_was_run_once_from_top_to_bottom(path):
    counts = [c["execution_count"] for c in code_cells(path) if "nbval-skip" not in tags(c)]
    assert counts == list(range(1, len(counts) + 1))


@each
def test_no_times_and_versions_of_a_run_are_stored(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["metadata"]["language_info"] == {"name": "python"}
    assert not any("execution" in cell["metadata"] for cell in notebook["cells"])


@each
def test_stored_outputs_are_fit_to_read(path):
    for cell in code_cells(path):
        for output in cell["outputs"]:
            text = json.dumps(output)
            assert output["output_type"] != "error", source(cell)
            assert "image/svg" not in text, source(cell)
            if "image/png" not in output.get("data", {}):
                assert not re.search(r"(?<![\w.:/])/(home|root|tmp|work|usr|opt|Users)/", text), (
                    source(cell)
                )
                assert not re.search(r"0x[0-9a-f]{6,}", text), source(cell)


@each
def test_cell_ids_are_there_and_unique(path):
    ids = [c["id"] for c in load(path)]
    assert len(ids) == len(set(ids))


@each
def test_text_and_code_are_in_proportion(path):
    cells = load(path)
    code = sum(c["cell_type"] == "code" for c in cells)
    assert 1.2 <= (len(cells) - code) / code <= 2.2


@each
def test_code_cells_are_short(path):
    """A cell tagged ``recap`` repeats what earlier notebooks built, which a test compares."""
    for cell in code_cells(path):
        if "recap" in tags(cell):
            continue
        text = source(cell)
        lines = len([line for line in text.splitlines() if line.strip()])
        whole = re.search(r"(?m)^class |^def fit\(", text)  # a class, or the training loop
        assert lines <= (40 if whole else 20), text


@each
def test_every_figure_is_followed_by_words(path):
    cells = load(path)
    for cell, after in zip(cells, cells[1:] + [None]):
        if any("image/png" in o.get("data", {}) for o in cell.get("outputs", [])):
            assert after is not None and after["cell_type"] == "markdown", source(cell)


@each
def test_the_first_cell_sees_to_errors_and_the_text_before_it_says_where_to_begin(path):
    opening, first = load(path)[:2]
    assert first["cell_type"] == "code" and "import mgff_tutorial.notebook" in source(first)
    assert "Run All Above Selected Cell" in source(opening)


ONLINE = runpy.run_path(str(FOLDER / "online.py"))


@each
def test_the_opening_cell_says_how_to_run_elsewhere_with_the_address_of_the_front_page(path):
    wanted = ONLINE["line"](ONLINE["address"]())
    assert source(load(path)[0]).endswith(f"\n\n{wanted}"), "run python notebooks/online.py"


def test_a_new_address_changes_one_line_and_nothing_else(tmp_path):
    path = Path(shutil.copy(NOTEBOOKS[8], tmp_path))
    before = path.read_text("utf-8")
    assert not ONLINE["write"](path, ONLINE["address"]())
    assert ONLINE["write"](path, "https://example.org/mgff")
    pairs = zip(before.splitlines(), path.read_text("utf-8").splitlines(), strict=True)
    ((old, new),) = [pair for pair in pairs if pair[0] != pair[1]]
    assert f"git+{ONLINE['address']()}`" in old and "git+https://example.org/mgff`" in new
    assert ONLINE["write"](path, ONLINE["address"]()) and path.read_text("utf-8") == before


@each
def test_every_name_is_defined_by_a_cell_above(path):
    """So that "Run All Above" puts a `NameError` right, as `mgff_tutorial.notebook` tells the
    reader.
    """
    known = set(dir(builtins))
    for cell in code_cells(path):
        symbols = symtable.symtable(source(cell), "cell", "exec").get_symbols()
        known |= {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}
        assert {s.get_name() for s in symbols if s.is_referenced()} <= known, source(cell)


@pytest.mark.parametrize("number", ["04", "09", "10", "12"])
def test_full_size_runs_on_a_gpu_and_has_stored_numbers_without_one(number):
    cells = load(next(p for p in NOTEBOOKS if p.stem.startswith(number)))
    branches = [
        i
        for i, c in enumerate(cells)
        if c["cell_type"] == "code" and 'device.type == "cuda"' in source(c)
    ]
    assert branches
    for i in branches:
        assert (
            "No CUDA GPU here" in json.dumps(cells[i]["outputs"])
            and "stored" in source(cells[i + 1]).lower()
        )


@each
def test_links_lead_somewhere(path):
    for cell in load(path):
        if cell["cell_type"] == "markdown":
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", source(cell)):
                if not re.match(r"[a-z]+:", target):
                    assert (path.parent / target).exists(), target


@each
def test_code_of_the_package_is_the_code_of_the_notebook(path):
    """What a notebook defines under a name of the module it teaches is that module's text, or
    differs on purpose.

    A cell tagged ``simplified`` shows a step on the way; the notebook then proves the equality in
    numbers.
    """
    packaged = {}
    for module in TEACHES.get(path.stem[:2], []):
        packaged |= definitions(
            Path(importlib.import_module(f"mgff_tutorial.{module}").__file__).read_text("utf-8")
        )
    for cell in code_cells(path):
        for name, code in definitions(source(cell)).items():
            if name in packaged and "simplified" not in tags(cell):
                assert code == packaged[name], f"{name} differs from the package's"


def test_nearly_all_outputs_are_compared():
    with_text = [
        c
        for p in NOTEBOOKS
        for c in code_cells(p)
        if any("text" in o or "text/plain" in o.get("data", {}) for o in c["outputs"])
    ]
    compared = [c for c in with_text if not tags(c) & NOT_COMPARED]
    assert len(compared) >= 0.85 * len(with_text)
    assert sum("nbval-skip" in tags(c) for p in NOTEBOOKS for c in code_cells(p)) <= 5


@pytest.mark.parametrize("path", NOTEBOOKS[1:], ids=lambda p: p.stem)
def test_the_index_gives_the_notebooks_reading_time(path):
    opening = source(load(path)[0])
    minutes = re.search(r"reading (\d+) minutes|about (\d+) minutes to read", opening)
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    row = re.search(rf"\({path.name}\) \|.*\| (\d+) \|", index)
    assert row[1] in minutes.groups()
