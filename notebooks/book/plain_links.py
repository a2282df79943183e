"""Sphinx extension for the book: links to what the book does not hold become plain text."""

import re

# Markdown outside of this folder, and folders; single files become downloads.
OUTSIDE = re.compile(r"\[([^][\n]*)\]\((?:\.\./[^)\s]*\.md|[^)\s:]*/)(?:#[^)\s]*)?\)")


def setup(app):
    """Called by Sphinx."""

    def read(app, name, source):
        source[0] = OUTSIDE.sub(r"\1", source[0])

    app.connect("source-read", read)
    return {"parallel_read_safe": True}
