"""The pickle of a PyTorch file, interpreted opcode by opcode: nothing is imported, called or executed.

Only what a state dict is made of is understood: dictionaries, lists, tuples, numbers, names, tensors as
views of storages. Every other global is refused by its name. Opcodes: CPython's ``Lib/pickletools.py``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from parentage.checkpoints.formats.safetensors_header import shown
from parentage.checkpoints.formats.torch_globals import Called, Global, Refused, Storage, global_of
from parentage.checkpoints.formats.torch_zip import TORCH_HINT
from parentage.errors import HeaderError

__all__ = ["MOST_PICKLE", "read_pickle"]

MOST_PICKLE = 64 * 2**20
# A tensor takes some 40 opcodes: enough for 50,000 tensors a file.
MOST_OPCODES = 2_000_000
MOST_MEMO = 1_000_000
LONGEST_NUMBER = 16
STOP = ord(".")


def _lie(code: str, message: str, where: str) -> HeaderError:
    return HeaderError(message, code=code, where=where, hint=TORCH_HINT)


@dataclass(slots=True)
class _Machine:
    raw: bytes
    where: str
    at: int
    stack: list[Any]
    marks: list[int]
    memo: dict[int, Any]

    def take(self, count: int) -> bytes:
        """The next bytes of the pickle."""
        end = self.at + count
        if end > len(self.raw):
            raise self.lie("it ends within an opcode")
        found = self.raw[self.at : end]
        self.at = end
        return found

    def number(self, form: str) -> Any:
        """One number of this ``struct`` form."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        """Text up to the end of the line."""
        end = self.raw.find(b"\n", self.at, self.at + 4096)
        if end < 0:
            raise self.lie("a name without an end")
        return self.text(self.take(end + 1 - self.at)[:-1])

    def text(self, raw: bytes) -> str:
        """UTF-8, strictly."""
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise self.lie("a text that is not UTF-8") from None

    def pop(self) -> Any:
        """The topmost value, above the last mark."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise self.lie("it takes a value that is not there")
        return self.stack.pop()

    def top(self, kind: type) -> Any:
        """The topmost value, which an opcode changes in place."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0) or type(self.stack[-1]) is not kind:
            raise self.lie(f"it fills something that is no {kind.__name__}")
        return self.stack[-1]

    def items(self) -> list[Any]:
        """All values above the last mark, and the mark's end."""
        if not self.marks:
            raise self.lie("it takes values up to a mark that is not there")
        begin = self.marks.pop()
        found = self.stack[begin:]
        del self.stack[begin:]
        return found

    def remember(self, index: int) -> None:
        """The topmost value under a number."""
        if not self.stack or len(self.memo) >= MOST_MEMO:
            raise self.lie("it remembers nothing, or too much")
        self.memo[index] = self.stack[-1]

    def recall(self, index: int) -> None:
        """A remembered value."""
        if index not in self.memo:
            raise self.lie("it recalls what was not remembered")
        self.stack.append(self.memo[index])

    def lie(self, message: str) -> HeaderError:
        """The error for a pickle that is not well-formed."""
        return _lie("torch-pickle", message, f"{self.where}, byte {self.at:,} of its pickle")


def read_pickle(raw: bytes, where: str) -> Any:
    """The pickled value: dict, list, tuple, str, bytes, numbers, None, ``Storage``, ``Tensor``.

    Raises ``HeaderError``: ``torch-pickle`` where it is malformed, ``torch-pickle-global`` where it names
    anything but what a state dict is made of.
    """
    machine = _Machine(raw, where, 0, [], [], {})
    for _ in range(MOST_OPCODES):
        if machine.at >= len(raw):
            raise machine.lie("it ends without a stop")
        code = raw[machine.at]
        machine.at += 1
        if code == STOP:
            return machine.pop()
        action = _BY_CODE.get(code)
        if action is None:
            raise machine.lie(f"opcode {code:#04x} is none that torch.save writes")
        try:
            action(machine)
        except Refused as error:
            raise _refusal(error, machine) from None
    raise _lie("torch-too-large", f"a pickle of more than {MOST_OPCODES:,} opcodes", where)


def _refusal(error: Refused, machine: _Machine) -> HeaderError:
    if error.name is None:
        return machine.lie(error.message)
    return HeaderError(
        f"its pickle names {shown(error.name)}, which is no part of a state dict; nothing was executed",
        code="torch-pickle-global",
        where=machine.where,
        hint="do not load this file with torch unless you trust it; ask for safetensors",
    )


def _push(make: Callable[[_Machine], Any]) -> Callable[[_Machine], None]:
    return lambda m: m.stack.append(make(m))


def _long(count: Callable[[_Machine], int]) -> Callable[[_Machine], None]:
    def push(m: _Machine) -> None:
        length = count(m)
        if not 0 <= length <= LONGEST_NUMBER:
            raise m.lie(f"a number of {length:,} bytes")
        m.stack.append(int.from_bytes(m.take(length), "little", signed=True))

    return push


def _string(form: str) -> Callable[[_Machine], None]:
    return _push(lambda m: m.text(m.take(m.number(form))))


def _bytes(form: str) -> Callable[[_Machine], None]:
    return _push(lambda m: m.take(m.number(form)))


def _tuple(count: int) -> Callable[[_Machine], None]:
    return _push(lambda m: tuple(reversed([m.pop() for _ in range(count)])))


def _global(m: _Machine) -> None:
    module, name = m.line(), m.line()
    m.stack.append(global_of(module, name))


def _stack_global(m: _Machine) -> None:
    name, module = m.pop(), m.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise m.lie("a global without a name")
    m.stack.append(global_of(module, name))


def _set_item(m: _Machine) -> None:
    value, key = m.pop(), m.pop()
    _fill(m, [key, value])


def _fill(m: _Machine, pairs: list[Any]) -> None:
    target = m.top(dict)
    if len(pairs) % 2:
        raise m.lie("a key without a value")
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if not isinstance(key, str | int | float | None):
            raise m.lie("a key that is neither a name nor a number")
        target[key] = value


def _append(m: _Machine) -> None:
    value = m.pop()
    m.top(list).append(value)


def _extend(m: _Machine) -> None:
    found = m.items()
    m.top(list).extend(found)


def _reduce(m: _Machine) -> None:
    arguments, called = m.pop(), m.pop()
    if not isinstance(called, Global) or not isinstance(arguments, tuple):
        raise m.lie("it calls something that is no global")
    m.stack.append(called.call(arguments))


def _build(m: _Machine) -> None:
    """Attributes (``_metadata`` of a state dict, hooks of a parameter) are passed over."""
    m.pop()
    if not m.stack or not isinstance(m.stack[-1], dict | Called):
        raise m.lie("attributes for something that has none")


def _persistent(m: _Machine) -> None:
    found = m.pop()
    if not isinstance(found, tuple):
        raise m.lie("a storage without a place")
    m.stack.append(Storage.of(found))


def _refuse_inst(m: _Machine) -> None:
    module, name = m.line(), m.line()
    raise Refused("an instance", f"{module}.{name}")


def _pop_mark(m: _Machine) -> None:
    m.items()


def _ignore(value: Any) -> None:
    """A frame's length, or a value that is dropped."""


def _protocol(m: _Machine) -> None:
    version = m.number("<B")
    if not 2 <= version <= 5:
        raise m.lie(f"a pickle of protocol {version}")


_ACTIONS: Mapping[bytes, Callable[[_Machine], None]] = {
    b"\x80": _protocol,
    b"\x95": lambda m: _ignore(m.number("<Q")),
    b"(": lambda m: m.marks.append(len(m.stack)),
    b"0": lambda m: _ignore(m.pop()),
    b"1": _pop_mark,
    b"N": _push(lambda m: None),
    b"\x88": _push(lambda m: True),
    b"\x89": _push(lambda m: False),
    b"J": _push(lambda m: m.number("<i")),
    b"K": _push(lambda m: m.number("<B")),
    b"M": _push(lambda m: m.number("<H")),
    b"\x8a": _long(lambda m: int(m.number("<B"))),
    b"\x8b": _long(lambda m: int(m.number("<i"))),
    b"G": _push(lambda m: m.number(">d")),
    b"X": _string("<I"),
    b"\x8c": _string("<B"),
    b"\x8d": _string("<Q"),
    b"U": _bytes("<B"),
    b"T": _bytes("<I"),
    b"C": _bytes("<B"),
    b"B": _bytes("<I"),
    b"\x8e": _bytes("<Q"),
    b")": _push(lambda m: ()),
    b"t": _push(lambda m: tuple(m.items())),
    b"\x85": _tuple(1),
    b"\x86": _tuple(2),
    b"\x87": _tuple(3),
    b"]": _push(lambda m: []),
    b"a": _append,
    b"e": _extend,
    b"}": _push(lambda m: {}),
    b"s": _set_item,
    b"u": lambda m: _fill(m, m.items()),
    b"q": lambda m: m.remember(m.number("<B")),
    b"r": lambda m: m.remember(m.number("<I")),
    b"\x94": lambda m: m.remember(len(m.memo)),
    b"h": lambda m: m.recall(m.number("<B")),
    b"j": lambda m: m.recall(m.number("<I")),
    b"c": _global,
    b"\x93": _stack_global,
    b"i": _refuse_inst,
    b"R": _reduce,
    b"b": _build,
    b"Q": _persistent,
}
_BY_CODE = {key[0]: action for key, action in _ACTIONS.items()}
