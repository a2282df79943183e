"""Links inside the built book: ``python notebooks/book/check_links.py build/_build/html``.

Every page, picture, download and heading that a page links to must exist. Addresses on the web are
left alone.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.links, self.ids = [], set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids.add(found.get("id"))
        self.links += [found[key] for key in ("href", "src") if found.get(key)]


def broken_links(root):
    """(count of links inside the book, list of (page, link) that lead nowhere)."""
    root = Path(root).resolve()
    paths = [p for p in root.rglob("*.html") if "_static" not in p.relative_to(root).parts]
    pages, count, broken = {path: _Page(path) for path in paths}, 0, []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            count += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = pages.get(target)
            lost = known is not None and parts.fragment and parts.fragment not in known.ids
            if not target.exists() or lost:
                broken.append((path.relative_to(root).as_posix(), link))
    return count, broken


if __name__ == "__main__":
    count, broken = broken_links(sys.argv[1])
    for page, link in broken:
        print(f"{page}: {link}")
    print(f"{count} links, {len(broken)} broken")
    sys.exit(1 if broken or not count else 0)
