"""Calling functions and modules of another process as if they were here, gradients included.

Both sides hold a `Link`. An object that is not plain data stays with its owner; the other side gets
a proxy: a `RemoteObject` that can be called, or a `RemoteModule` with the same parameters. While
one side waits for a reply it answers the other's requests, so a function there may call a model
that was its argument.
"""

import builtins
import contextlib
import copy
import weakref
from collections import OrderedDict

import numpy as np
import torch
from torch import nn

from ..checks import core
from ..checks.values import changed
from ..support.device import set_random_states
from . import wire
from .wire import Nonsense, Stopped

_GRAPHS = 64  # results whose gradients may still be asked for


class RemoteError(Exception):
    """An error of a kind that this process does not know."""


class Link:
    """One end of the connection.

    Args:
        reader, writer: binary streams.
        serve: called with (kind, message, unpack, pack) for requests that are not about objects.
        open_to_all: the other side may read attributes of objects, not only call them.
    """

    def __init__(self, reader, writer, serve=None, open_to_all=False):
        self._reader, self._writer = reader, writer
        self._serve, self._open = serve, open_to_all
        self._caught = BaseException if open_to_all else Exception  # Ctrl-C is the teacher's
        self._exported, self._numbers = {}, {}  # number -> object, id of the object -> number
        self._proxies = {}
        self._graphs, self._graph = OrderedDict(), 0  # results and what they depend on
        self._released = []  # the other side's graphs that nothing here can ask for any more
        self._lent = []  # modules of the other side among the arguments of the running call
        self._random = None  # the random states that both sides agreed on last
        self.raised = False  # the last call ended in an error

    # ---- messages ----

    def request(self, kind, packer=None, **fields):
        """Ask the other side, and serve it until it replies.

        Returns:
            (reply, its `Unpacker`).

        Raises:
            Stopped: it is gone, or what it says is no message.
        """
        released, self._released = self._released, []
        try:
            message = {"kind": kind, "released": released, **fields}
            wire.send(self._writer, message, packer.blobs if packer else [])
            while True:
                message, blobs = wire.receive(self._reader)
                unpacker = wire.Unpacker(blobs, self._adopt)
                if message["kind"] == "reply":
                    break
                self._answer(message, unpacker)
        except (EOFError, OSError) as error:
            raise Stopped(str(error)) from None
        if "raised" in message:
            self._raise(message["raised"])
        return message, unpacker

    def serve_forever(self):
        """Answer requests until the other side closes the connection."""
        with contextlib.suppress(EOFError, BrokenPipeError):
            while True:
                message, blobs = wire.receive(self._reader)
                self._answer(message, wire.Unpacker(blobs, self._adopt))

    def _answer(self, message, unpacker):
        packer = self.packer()
        try:
            fields = self._perform(message, unpacker, packer)
        except self._caught as error:
            packer, fields = self.packer(), {"raised": describe_error(error)}
        try:
            wire.send(self._writer, {"kind": "reply", **fields}, packer.blobs)
        except (ValueError, TypeError, RecursionError, MemoryError) as error:
            wire.send(self._writer, {"kind": "reply", "raised": describe_error(error)}, [])

    def _perform(self, message, unpacker, packer):
        kind = message["kind"]
        for graph in message["released"]:
            self._graphs.pop(graph, None)
        if kind == "call":
            return self._perform_call(message, unpacker, packer)
        if kind == "backward":
            return self._perform_backward(message, unpacker, packer)
        if self._serve is None:
            raise Nonsense(f"a request for {kind}")
        owned = self._exported[message["object"]] if "object" in message else None
        if kind == "copy":
            return {"value": packer.pack(copy.deepcopy(owned))}
        if kind == "attribute":
            return {"value": packer.pack(getattr(owned, message["name"]))}
        return self._serve(kind, message, unpacker, packer)

    def packer(self):
        """A `Packer` that leaves objects with this side."""
        return wire.Packer(self._export)

    # ---- calls ----

    def call(self, proxy, args, kwargs, method=None):
        """Call an object of the other side, or a method of it."""
        packer = self.packer()
        inputs = _with_gradients([args, kwargs]) if torch.is_grad_enabled() else []
        fields = {
            "args": packer.pack(list(args)),
            "kwargs": packer.pack(dict(kwargs)),
            "grad": torch.is_grad_enabled(),
            "method": method,
            "object": proxy._number,
            "without": list(core.names_to_do_without()),
        }
        module = proxy if isinstance(proxy, RemoteModule) else None
        if module is not None:
            fields["state"], fields["training"] = packer.pack(module._news()), module.training
        states = core.random_states()
        if _differ(states, self._random):
            fields["random"] = packer.pack(states)
        self._random, self.raised = states, True
        reply, unpacker = self.request("call", packer, **fields)
        self.raised = False
        value = unpacker.unpack(reply["value"])
        outputs = list(unpacker.tensors)
        try:
            self._take_over(reply, unpacker, args, kwargs, module)
        except wire.MALFORMED as error:
            raise Nonsense(str(error)) from None
        if reply.get("printed"):
            print(reply["printed"])
        if reply.get("graph") is not None and outputs:
            parameters = [p for p in module.parameters() if p.requires_grad] if module else []
            with torch.no_grad():
                outputs = [t.detach() for t in outputs]
            joined = _Across.apply(
                self, int(reply["graph"]), len(outputs), *outputs, *inputs, *parameters
            )
            joined = iter(joined)
            value = _replace(value, lambda t: next(joined) if t.requires_grad else t)
        return value

    def _take_over(self, reply, unpacker, args, kwargs, module):
        """What the call changed: arguments, modules among them, its own module, random states."""
        if "changed" in reply:
            _restore([list(args), dict(kwargs)], unpacker.unpack(reply["changed"]))
        for number, after in unpacker.unpack(reply["modules"]).items():
            _set_module(self._exported[number], after)
        if "random" in reply:
            self._random = unpacker.unpack(reply["random"])
            _set_random_states(self._random)
        if module is not None and reply.get("state") is not None:
            module._update(unpacker.unpack(reply["state"]))

    def _perform_call(self, message, unpacker, packer):
        owned = self._exported[message["object"]]
        lent = self._lent = []
        args = unpacker.unpack(message["args"])
        kwargs = unpacker.unpack(message["kwargs"])
        inputs = list(unpacker.tensors)
        module = owned if isinstance(owned, nn.Module) else None
        if module is not None:
            _load(module, unpacker.unpack(message["state"]))
            if module.training != message["training"]:
                module.train(message["training"])
        target = owned
        if message["method"] is not None:
            self._must_be_open()
            target = getattr(owned, message["method"])
        before = core.snapshot([args, kwargs])
        if "random" in message and self._open:
            self._random = unpacker.unpack(message["random"])
        if self._open and _differ(core.random_states(), self._random):
            _set_random_states(self._random)  # the submission may have drawn between two calls
        printed = _Printed()
        with (
            torch.set_grad_enabled(bool(message["grad"])),
            contextlib.redirect_stdout(printed) if self._open else contextlib.nullcontext(),
            core.removed(message["without"], target) if self._open else contextlib.nullcontext(),
        ):
            value = target(*args, **kwargs)
            value = wire.exhausted(value)
        fields = {"value": packer.pack(value), "printed": printed.text}
        if message["grad"]:
            outputs = _with_gradients(value)
            if outputs:
                parameters = [p for p in module.parameters() if p.requires_grad] if module else []
                self._graph += 1
                self._graphs[self._graph] = outputs, [*inputs, *parameters]
                fields["graph"] = self._graph
                while len(self._graphs) > _GRAPHS:
                    self._graphs.popitem(last=False)
        if not core.same(before, [args, kwargs]):
            fields["changed"] = packer.pack([_plain_only(list(args)), _plain_only(dict(kwargs))])
        after = {p._number: p._after() for p in lent if self._open}
        fields["modules"] = packer.pack(after)
        if module is not None:
            fields["state"] = packer.pack(_state(module, message["method"] is not None))
        if self._open:
            states = core.random_states()
            if _differ(states, self._random):
                self._random = states
                fields["random"] = packer.pack(states)
        return fields

    def _perform_backward(self, message, unpacker, packer):
        if message["graph"] not in self._graphs:
            raise RuntimeError("trying to go backward through the graph a second time")
        outputs, inputs = self._graphs[message["graph"]]
        if not message["keep"]:
            del self._graphs[message["graph"]]
        given = unpacker.unpack(message["gradients"])
        pairs = [(o, g) for o, g in zip(outputs, given) if g is not None]
        found = torch.autograd.grad(
            [o for o, _ in pairs],
            inputs,
            [g for _, g in pairs],
            retain_graph=bool(message["keep"]),
            allow_unused=True,
        )
        return {"value": packer.pack(list(found))}

    # ---- objects ----

    def _export(self, value, packer):
        """What stands for an object that stays here."""
        if isinstance(value, RemoteObject | RemoteModule) and value._link is self:
            return {"back": value._number}
        number = self._numbers.get(id(value))
        if number is None:
            number = len(self._exported) + 1
            self._exported[number], self._numbers[id(value)] = value, number
        fields = {"number": number, "type": type(value).__name__, "name": ""}
        if isinstance(value, nn.Module):
            gradients = {n: p.grad for n, p in value.named_parameters() if p.grad is not None}
            fields["module"] = {
                "parameters": packer.pack(dict(value.named_parameters())),
                "buffers": packer.pack(dict(value.named_buffers())),
                "gradients": packer.pack(gradients),
                "training": value.training,
            }
        else:
            fields["name"] = str(getattr(value, "__name__", ""))
        return fields

    def _adopt(self, item, unpacker):
        """The proxy for an object of the other side, or one of ours that comes back."""
        if "back" in item:
            return self._exported[item["back"]]
        number, kind = int(item["number"]), str(item["type"])
        proxy = self._proxies.get(number)
        if "module" in item:
            kept, unpacker.tensors = unpacker.tensors, []  # parameters are no results
            told = {name: unpacker.unpack(value) for name, value in item["module"].items()}
            unpacker.tensors = kept
            if proxy is None:
                proxy = RemoteModule(self, number, kind)
                proxy._fill(told["parameters"], told["buffers"])
            proxy._update({**told["parameters"], **told["buffers"]})
            proxy.train(bool(told["training"]))
            for name, parameter in proxy.named_parameters():
                parameter.grad = told["gradients"].get(name)
            self._lent.append(proxy)
        elif proxy is None:
            proxy = RemoteObject(self, number, kind, str(item["name"]))
        self._proxies[number] = proxy
        return proxy

    def _release(self, graph):
        self._released.append(graph)

    def _must_be_open(self):
        if not self._open:
            raise Nonsense("objects of this side can only be called")

    def _ask(self, kind, number, **fields):
        reply, unpacker = self.request(kind, object=number, **fields)
        return unpacker.unpack(reply["value"])

    def _raise(self, raised):
        """Raise here what was raised there."""
        try:
            kind, text, sentence = (str(raised[k]) for k in ("type", "message", "sentence"))
        except wire.MALFORMED as error:
            raise Nonsense(str(error)) from None
        if raised.get("unanswered"):
            raise NotImplementedError(text)
        if kind == "SystemExit":
            raise SystemExit(text)
        if kind == "CheckFailed":  # the answer used what it must do without
            self.raised = False
            raise core.CheckFailed(text)
        known = getattr(builtins, kind, None)
        error = RemoteError(text)
        if isinstance(known, type) and issubclass(known, Exception):
            with contextlib.suppress(TypeError, ValueError):
                error = known(text)
        error.sentence = sentence
        raise error


def describe_error(error):
    """An exception as plain values, with the sentence that a reader would see."""
    unanswered = isinstance(error, NotImplementedError) and core.is_unanswered(error)
    return {
        "type": "CheckFailed" if isinstance(error, core.CheckFailed) else type(error).__name__,
        "message": _one_line(error),
        "sentence": core.what_was_raised(error)[:1000],
        "unanswered": unanswered,
    }


def _one_line(error):
    try:
        return (str(error).strip().splitlines() or [""])[0][:500]
    except Exception:
        return ""


class _Printed:
    """Standard output of which only the beginning is kept."""

    def __init__(self, most=1000):
        self._parts, self._left = [], most

    def write(self, text):
        text = str(text)
        if self._left > 0:
            self._parts.append(text[: self._left])
            self._left -= len(text)
        return len(text)

    def flush(self):
        pass

    def isatty(self):
        return False

    @property
    def text(self):
        return "".join(self._parts).strip()


class _Held:
    """Lives as long as the results of a call can be asked for gradients."""


# with ``retain_graph=True`` the other side must keep its graph too; torch says so to nobody else
_graph_is_kept = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", lambda: False)


class _Across(torch.autograd.Function):
    """Hands results of the other process on; gradients go back the same way."""

    @staticmethod
    def forward(ctx, link, graph, count, *tensors):
        ctx.link, ctx.graph, ctx.others = link, graph, len(tensors) - count
        ctx.held = _Held()
        weakref.finalize(ctx.held, link._release, graph)
        return tuple(t.clone() for t in tensors[:count])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *gradients):
        packer = ctx.link.packer()
        reply, unpacker = ctx.link.request(
            "backward",
            packer,
            graph=ctx.graph,
            gradients=packer.pack(list(gradients)),
            keep=_graph_is_kept(),
        )
        found = unpacker.unpack(reply["value"])
        if not isinstance(found, list) or len(found) != ctx.others:
            raise Stopped("gradients of another number")
        return (None, None, None, *[None] * len(gradients), *found)


class RemoteObject:
    """A function, a class or another object of the other process."""

    def __init__(self, link, number, kind, name):
        self._link, self._number, self._kind, self.__name__ = link, number, kind, name

    def __call__(self, *args, **kwargs):
        return self._link.call(self, args, kwargs)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return self._link._ask("attribute", self._number, name=name)

    def __deepcopy__(self, memo):
        return self._link._ask("copy", self._number)

    def __repr__(self):
        return f"<{self._kind} {self.__name__}>".replace(" >", ">")


class RemoteModule(nn.Module):
    """A module of the other process: parameters and buffers are here, ``forward`` is there."""

    def __init__(self, link, number, kind):
        super().__init__()
        self.__dict__.update(_link=link, _number=number, _kind=kind, _told={})

    def forward(self, *args, **kwargs):
        return self._link.call(self, args, kwargs)

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith("_"):
                raise
        found = self._link._ask("attribute", self._number, name=name)
        if isinstance(found, RemoteObject) and found._kind == "method":
            return lambda *args, **kwargs: self._link.call(self, args, kwargs, method=name)
        return found

    def __deepcopy__(self, memo):
        self._link.call(self, (), {}, method="named_parameters")  # brings it up to date
        return self._link._ask("copy", self._number)

    def __repr__(self):
        return f"<module {self._kind}>"

    def _fill(self, parameters, buffers):
        """The tensors, under the names and in the modules in which they stand there."""
        for name, value in {**parameters, **buffers}.items():
            module = self
            *path, last = str(name).split(".")
            for part in path:
                if part not in module._modules:
                    module._modules[part] = nn.Module()
                module = module._modules[part]
            if name in parameters:
                wanted = value.requires_grad
                module._parameters[last] = nn.Parameter(value.detach(), requires_grad=wanted)
            else:
                module._buffers[last] = value

    def _tensors(self):
        return [*self.named_parameters(), *self.named_buffers()]

    def _news(self):
        """The tensors that were changed here since both sides agreed."""
        changed = {n: v.detach() for n, v in self._tensors() if not _equal(v, self._told.get(n))}
        self._told.update({n: v.clone() for n, v in changed.items()})
        return changed

    def _update(self, state):
        """Take over what was changed there."""
        _load(self, state)
        self._told.update({n: v.detach().clone() for n, v in state.items()})

    def _after(self):
        """What this side did to the module: for the owner, who gets it back after a call."""
        gradients = {n: p.grad for n, p in self.named_parameters()}
        return {"state": self._news(), "gradients": gradients, "training": self.training}


def _equal(a, b):
    return b is not None and a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)


def _load(module, state):
    """Copy values into the parameters and buffers of a module."""
    own = dict([*module.named_parameters(), *module.named_buffers()])
    with torch.no_grad():
        for name, value in state.items():
            if name in own and not _equal(own[name], value):
                own[name].copy_(value)


def _state(module, everything):
    """Buffers of a module after a call; its parameters too where a method may have changed them."""
    tensors = [*(module.named_parameters() if everything else []), *module.named_buffers()]
    return {name: value.detach() for name, value in tensors}


def _set_module(module, after):
    _load(module, after["state"])
    module.train(bool(after["training"]))
    for name, parameter in module.named_parameters():
        parameter.grad = after["gradients"].get(name)


def _with_gradients(value):
    """The tensors in a value that require gradients, in the order in which they are packed."""
    if isinstance(value, torch.Tensor):
        return [value] if value.requires_grad else []
    if isinstance(value, dict):
        return [t for pair in value.items() for v in pair for t in _with_gradients(v)]
    if isinstance(value, list | tuple):
        return [t for v in value for t in _with_gradients(v)]
    return []


def _replace(value, by):
    """``value`` with its tensors replaced."""
    if isinstance(value, torch.Tensor):
        return by(value)
    return changed(value, lambda part: _replace(part, by))


def _plain_only(value):
    """``value`` with objects that stay on their side left out: they can't be replaced."""
    if type(value) in (list, tuple, dict):
        return changed(value, _plain_only)
    plain = isinstance(value, torch.Tensor | np.ndarray | str | int | float | set | bytearray)
    return value.detach() if isinstance(value, torch.Tensor) else value if plain else None


def _restore(mine, new):
    """Change plain data in place until it equals ``new``."""
    if isinstance(mine, torch.Tensor) and isinstance(new, torch.Tensor):
        with torch.no_grad():
            if mine.shape == new.shape:
                mine.copy_(new)
            else:
                mine.data = new
    elif isinstance(mine, np.ndarray) and isinstance(new, np.ndarray):
        if mine.shape == new.shape:
            mine[...] = new
    elif type(mine) is list and type(new) is list:
        for old, value in zip(mine, new):
            _restore(old, value)
        mine[:] = [_kept(o, v) for o, v in zip(mine, new)] + new[len(mine) :]
    elif type(mine) is tuple and type(new) is tuple:
        for old, value in zip(mine, new):
            _restore(old, value)
    elif type(mine) is dict and type(new) is dict:
        for key, value in new.items():
            if key in mine:
                _restore(mine[key], value)
        result = {k: _kept(mine.get(k), v) for k, v in new.items()}
        mine.clear()
        mine.update(result)
    elif type(mine) is set and type(new) is set:
        mine.clear()
        mine.update(new)


def _kept(old, new):
    """The element of a container: the old object if it was changed in place or can't be sent."""
    in_place = torch.Tensor | np.ndarray | list | tuple | dict | set
    if new is None and old is not None:
        return old
    return old if isinstance(old, in_place) and type(old) is type(new) else new


def _set_random_states(states):
    try:
        set_random_states(states)
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        raise Nonsense(str(error)) from None


def _differ(a, b):
    return b is None or not core.same_states(a, b)
