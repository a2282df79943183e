"""The book: its contents are complete, and its link checker finds what is broken."""

import runpy
from pathlib import Path

import pytest
import yaml

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def test_every_notebook_has_its_place_in_the_book():
    contents = yaml.safe_load((NOTEBOOKS / "_toc.yml").read_text("utf-8"))
    files = [chapter["file"] for part in contents["parts"] for chapter in part["chapters"]]
    books = sorted(path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb"))
    assert [name for name in files if name[:1].isdigit()] == books
    pages = {path.stem for path in NOTEBOOKS.glob("*.md")}
    assert pages == {name for name in [contents["root"], *files[len(books) :]] if "/" not in name}
    for name in [contents["root"], *files[len(books) :]]:
        assert (NOTEBOOKS / f"{name}.md").is_file()
    config = yaml.safe_load((NOTEBOOKS / "_config.yml").read_text("utf-8"))
    assert config["execute"]["execute_notebooks"] == "off"


@pytest.mark.parametrize(
    "text, kept",
    [
        ("see [the page](../README.md#install) or [all](solutions/).", "see the page or all."),
        ("[08](08_gcn_head.ipynb) and [code](../mgff_tutorial/graph.py)", None),
        ("[web](https://example.org/) [here](#part) a[0](1)", None),
        ('["[a](\\n", "b](../x.md)"]', None),
    ],
)
def test_links_out_of_the_book_become_text(text, kept):
    outside = runpy.run_path(str(NOTEBOOKS / "book" / "plain_links.py"))["OUTSIDE"]
    assert outside.sub(r"\1", text) == (text if kept is None else kept)


def test_the_link_checker(tmp_path):
    broken_links = runpy.run_path(str(NOTEBOOKS / "book" / "check_links.py"))["broken_links"]
    (tmp_path / "a.html").write_text(
        '<h1 id="top"></h1><a href="b.html#part"></a><a href="#top"></a><img src="c.png">'
        '<a href="b.html#gone"></a><a href="https://example.org/x"></a>'
    )
    (tmp_path / "b.html").write_text('<p id="part"></p>')
    assert broken_links(tmp_path) == (4, [("a.html", "c.png"), ("a.html", "b.html#gone")])
