"""The process of one submission: ``python -m mgff_tutorial.teaching.worker``, started by
`processes`.

It is told the source, gives answers to calls until its parent closes the connection, and holds
neither checks nor expected results. Python is started with ``-m``, so the package's chapters are
not imported here unless the submission does so.
"""

import json
import os
import socket
import sys
import tempfile

import torch

from . import fence
from .answers import Answers, Broken, Missing
from .processes import places
from .remote import Link


def main():
    """Serve one submission over standard input and output, or be the nursery."""
    torch.set_num_threads(1)
    memory = int(sys.argv[1])
    if "--nursery" in sys.argv:
        fork_on_demand(memory)
    else:
        serve(os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb"), memory)


def fork_on_demand(memory):
    """Copy this process whenever the parent asks, and report how copies ended."""
    import numpy  # noqa: F401
    import PIL.Image  # noqa: F401
    import scipy.stats  # noqa: F401

    control = socket.socket(fileno=os.dup(0))
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, 2**16, 1)
        if not data:
            return
        order = json.loads(data)
        if "bury" in order:
            code = os.waitstatus_to_exitcode(os.waitpid(order["bury"], 0)[1])
            control.sendall(json.dumps({"code": code}).encode() + b"\n")
            continue
        pid = os.fork()
        if pid == 0:
            control.close()
            os.setsid()
            os.chdir(order["start"])
            os.environ.update(places(order["start"]))
            tempfile.tempdir = order["start"]
            (connection,) = descriptors
            serve(os.fdopen(os.dup(connection), "rb"), os.fdopen(connection, "wb"), memory)
        for descriptor in descriptors:
            os.close(descriptor)
        control.sendall(json.dumps({"pid": pid}).encode() + b"\n")


def serve(reader, writer, memory):
    """Answer until the other side closes the connection; does not return."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # what a submission prints goes nowhere
        os.dup2(nothing, stream)
    try:
        _Session(reader, writer, memory).link.serve_forever()
    finally:
        os._exit(0)  # threads of the submission don't keep the process


class _Session:
    def __init__(self, reader, writer, memory):
        self.link = Link(reader, writer, self.serve, open_to_all=True)
        self.memory, self.answers = memory, None

    def serve(self, kind, message, unpack, packer):
        if kind == "load":
            fence.limit_memory(self.memory)
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
