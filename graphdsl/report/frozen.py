"""`dataclass`, the standard one, defined three times faster.

The standard decorator writes and compiles the text of six methods for each frozen class. There are nearly 300 of them
here, and their texts were a third of the time that `graphdsl check` took to start. Of those six methods only `__init__`
has to be text; the others are the same for every class.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls: type | None = None, /, *, frozen: bool = False, slots: bool = False, **options: bool) -> Any:
        """As `dataclasses.dataclass`. Frozen classes without slots are made here, others by the standard one."""
        if frozen and not slots:
            return lambda cls: _frozen(cls, **options)
        return dataclasses.dataclass(cls, frozen=frozen, slots=slots, **options)


def _frozen(cls: type, eq: bool = True, **options: bool) -> type:
    """The class with an `__init__` of its own and the shared methods, where it does not define them itself."""
    made: type = dataclasses.dataclass(eq=False, repr=False, **options)(cls)
    shared = {"__repr__": _shown, "__setattr__": _set_once, "__delattr__": _keep, **(_comparison(made) if eq else {})}
    for name, method in shared.items():
        if cls.__dict__.get(name) is None:
            setattr(made, name, method)
    return made


def _comparison(made: type) -> dict[str, Callable[..., Any]]:
    values = _reader([f.name for f in dataclasses.fields(made) if f.compare])

    def equal(self: Any, other: Any) -> Any:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def hashed(self: Any) -> int:
        return hash(values(self))

    return {"__eq__": equal, "__hash__": hashed}


def _reader(names: list[str]) -> Callable[[Any], Any]:
    return attrgetter(*names) if names else lambda self: ()


def _shown(self: Any) -> str:
    values = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.repr)
    return f"{type(self).__qualname__}({values})"


def _set_once(self: Any, name: str, value: Any) -> None:
    if name in self.__dict__ or name not in type(self).__dataclass_fields__:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
    self.__dict__[name] = value


def _keep(self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
