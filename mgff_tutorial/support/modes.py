"""Evaluation mode for a while, also where several threads share a model."""

import threading
from contextlib import contextmanager
from weakref import WeakKeyDictionary

_lock = threading.Lock()
_held = WeakKeyDictionary()  # module -> [how many hold it in evaluation mode, its mode before]


@contextmanager
def evaluation_mode(module):
    """Inside the ``with``, a module and all its parts are in evaluation mode; the last one to leave
    gives each part the mode back that it had before the first came.
    """
    parts = list(module.modules())
    with _lock:
        for part in parts:
            held = _held.setdefault(part, [0, part.training])
            held[0] += 1
            part.training = False
    try:
        yield module
    finally:
        with _lock:
            for part in parts:
                held = _held[part]
                held[0] -= 1
                if not held[0]:
                    part.training = held[1]
                    del _held[part]
