"""The process of one submission: ``python -m mgff_tutorial.teaching.worker``, started by
`grading`.

It is told the source, gives answers to calls until its parent closes the connection, and holds
neither checks nor expected results. Python is started with ``-m``, so the package's chapters are
not imported here unless the submission does so.
"""

import json
import os
import sys

import torch

from . import fence
from .answers import Answers, Broken, Missing
from .remote import Link


def main():
    """Serve one submission over standard input and output."""
    reader, writer = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # what a submission prints goes nowhere
        os.dup2(nothing, stream)
    torch.set_num_threads(1)
    settings = json.loads(sys.argv[1])
    session = _Session(reader, writer, settings)
    session.link.serve_forever()
    os._exit(0)  # threads of the submission don't keep the process


class _Session:
    def __init__(self, reader, writer, settings):
        self.link = Link(reader, writer, self.serve, open_to_all=True)
        self.settings, self.answers = settings, None

    def serve(self, kind, message, unpack, packer):
        if kind == "load":
            fence.limit_memory(self.settings["memory"])
            fence.close_imports(message["sheet"])
            fence.close_everything_else(message["sheet"], message["unreadable"])
            self.answers = Answers(message["cells"])
            return {}
        if kind == "answer":
            name = message["name"]
            try:
                return {"value": packer.pack(self.answers.get(name, message["check"]))}
            except Missing as error:
                return {"missing": str(error)}
            except Broken as error:
                return {"broken": str(error)}
        if kind == "why":
            return {"why": self.answers.why(message["name"])}
        raise ValueError(kind)


if __name__ == "__main__":
    main()
