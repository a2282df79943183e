"""The line on top of each notebook that says how to run it on Colab or Kaggle.

    python notebooks/online.py            # copies the repository's address from README.md
    python notebooks/online.py ADDRESS    # writes another address into README.md first

README.md is the one place of the address: what follows ``%pip install git+`` there.
"""

import json
import re
import sys
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parent
README = NOTEBOOKS.parent / "README.md"
INSTALL = re.compile(r"(?<=%pip install git\+)[^`\s]+")
LINE = re.compile(r"\n\n\*\*On Colab or Kaggle:\*\*.*")


def address():
    """The repository's address, as README.md has it."""
    return INSTALL.search(README.read_text("utf-8"))[0]


def line(where):
    """The line for a repository at the address ``where``."""
    return (
        f"**On Colab or Kaggle:** first run `%pip install git+{where}` in a new cell; nothing else "
        "is needed." + (" ADDRESS is that of this repository." if where == "ADDRESS" else "")
    )


def write(path, where):
    """Put the line at the end of a notebook's opening cell; the rest stays as it is, to the byte.

    Returns:
        True if the notebook was changed.
    """
    before = path.read_text("utf-8")
    book = json.loads(before)
    opening = LINE.sub("", "".join(book["cells"][0]["source"]).rstrip())
    book["cells"][0]["source"] = f"{opening}\n\n{line(where)}".splitlines(keepends=True)
    after = json.dumps(book, indent=1, ensure_ascii=False) + "\n"
    if after != before:
        path.write_bytes(after.encode("utf-8"))
    return after != before


if __name__ == "__main__":
    if len(sys.argv) > 1:
        text = README.read_text("utf-8")
        README.write_bytes(INSTALL.sub(lambda found: sys.argv[1], text).encode("utf-8"))
    paths = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    changed = sum(write(path, address()) for path in paths)
    print(f"{changed} of {len(paths)} notebooks changed; the address is {address()}.")
