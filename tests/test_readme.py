"""The README holds what it says: its commands, snippets, links, pictures and numbers."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "data" / "results"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = (
    "README.md",
    "data/README.md",
    "data/results/README.md",
    "notebooks/README.md",
    "notebooks/TEACHING.md",
    "tests/README.md",
)
BLOCKS = re.findall(r"^ *```(\w*)\n(.*?)^ *```$", README, re.MULTILINE | re.DOTALL)


def test_two_pages():
    assert len(README.splitlines()) <= 150


def anchors(page):
    """The anchors of a page's headings, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    for link in links:
        if link.startswith(("http://", "https://")):
            continue
        target, _, anchor = link.partition("#")
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), link
        assert not anchor or anchor in anchors(path), link


def test_each_notebook_is_linked():
    for book in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"](notebooks/{book.name})" in README, book.name
        assert f"]({book.name})" in (ROOT / "notebooks" / "README.md").read_text("utf-8")


def test_the_test_command_is_the_one_that_is_run():
    """The README's, the continuous integration's and the workflow's are one."""
    command = "pip install -r requirements.txt && pytest --nbval notebooks tests"
    assert f"python3 -m venv .venv && . .venv/bin/activate && {command}\n" in README
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == command
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text()
    assert f"run: {command}\n" in workflow


def commands():
    """The arguments of each ``python -m mgff_tutorial`` in the README."""
    for kind, text in BLOCKS:
        if kind == "bash":
            yield from re.findall(r"-m mgff_tutorial (.+)$", text, re.MULTILINE)


@pytest.mark.parametrize("line", list(commands()))
def test_commands_are_understood(line):
    from mgff_tutorial.__main__ import build_parser

    arguments = shlex.split(line, comments=True)
    assert callable(build_parser(arguments).parse_args(arguments).run)


def snippets():
    """(source, what it prints or None) of the Python blocks."""
    for (kind, source), (follower, output) in zip(BLOCKS, [*BLOCKS[1:], ("end", "")]):
        if kind == "python":
            yield source, None if follower else output


@pytest.mark.parametrize("source, output", list(snippets()))
def test_snippets_print_what_stands_below(source, output, capsys):
    names = {}
    exec(compile(source, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    if output is None:
        assert printed == "" and "resnet50" in source
        assert names["model"].num_classes == 200
        return
    number = r"\d+(?=%)"
    assert re.sub(number, "N", printed) == re.sub(number, "N", output)
    shares = [np.array(re.findall(number, text), dtype=int) for text in (printed, output)]
    assert abs(shares[0] - shares[1]).max() <= 2  # percent; devices differ a little
    assert printed.splitlines()[-1].split(": ")[1] in printed.splitlines()[1]  # the right answer


def test_pictures_are_what_the_code_draws(tmp_path):
    sys.path.insert(0, str(ROOT / "tests"))
    try:
        from pictures import pictures
    finally:
        sys.path.pop(0)
    for name, (figure, dpi) in pictures().items():
        figure.savefig(tmp_path / name, dpi=dpi)
        drawn, stored = (
            np.asarray(Image.open(folder / name), dtype=float) for folder in (tmp_path, RESULTS)
        )
        assert (stored[..., 3] == 255).all()  # opaque, for dark pages
        assert drawn.shape == stored.shape
        assert abs(drawn - stored).mean() < 2, f"{name}: run python tests/pictures.py"


def test_classes_of_the_map_stand_where_it_says():
    table = README.partition("## From the paper to the code")[2].partition("\n## ")[0]
    found = re.findall(r"\[((?:`\w+`(?:, )?)+)\]\((mgff_tutorial/\w+\.py)\)", table)
    assert len(found) == 10
    for names, path in found:
        source = (ROOT / path).read_text(encoding="utf-8")
        for name in re.findall(r"\w+", names):
            assert re.search(rf"^(class|def) {name}\b", source, re.MULTILINE), (name, path)


def measured(experiment, configuration, split="test", metric="accuracy"):
    """A mean over seeds, in percent."""
    rows = pd.read_csv(RESULTS / f"{experiment}.csv")
    chosen = rows[
        (rows.configuration == configuration) & (rows.split == split) & (rows.metric == metric)
    ]
    assert len(chosen) > 0
    return 100 * chosen.value.mean()


def test_findings_are_the_stored_results():
    section = " ".join(README.partition("## What was found")[2].split())
    one, found, central = (
        measured("two-stage-sketchbirds", f"baseline/whole/{look}")
        for look in ("stage1", "merged-cropper", "merged-central")
    )
    assert (
        f"{found - one:.1f} on drawn birds, where a central crop adds {central - one:.1f}"
        in section
    )
    # those on photographs stand in claims.yaml, which a test of its own compares
    assert "adds 2.7 points on photographs (two sets of classes)" in section
    text, central, default = (
        measured("localisation_cub20", name, metric="mean IoU") / 100
        for name in ("literal@224", "central_box", "attended_object@224")
    )
    assert (
        f"mean IoU of {text:.2f} on photographs, a central box {central:.2f}, "
        f"the default here {default:.2f}"
    ) in section


def test_two_processes_keep_notebooks_whole(tmp_path):
    """``pytest -n 2 --nbval`` as a reader types it: later cells find what earlier ones defined."""
    pytest.importorskip("xdist"), pytest.importorskip("nbval")
    shutil.copy(ROOT / "notebooks" / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    sources = ["count = 1", "count += 1", "count += 1", "count"]
    cells = [
        {"cell_type": "code", "id": f"c{i}", "source": source, "metadata": {}, "outputs": []}
        for i, source in enumerate(sources)
    ]
    cells[-1]["outputs"] = [
        {
            "output_type": "execute_result",
            "execution_count": 4,
            "metadata": {},
            "data": {"text/plain": "3"},
        }
    ]
    for i, cell in enumerate(cells):
        cell["execution_count"] = i + 1
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    for name in ("a", "b"):
        (tmp_path / f"{name}.ipynb").write_text(json.dumps(book))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "--nbval", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "8 passed" in done.stdout, done.stdout
