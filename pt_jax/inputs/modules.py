"""A flax.linen module of a user's own, for both worlds: one that can be hashed, whatever its fields hold."""

import dataclasses
from typing import Any

import flax.linen as nn
from flax.core import FrozenDict


def hashable(value: Any, known: dict[int, Any] | None = None) -> Any:
    """Return a module with tuples in place of the lists in its fields, so that it can be hashed.

    `known` has the submodules that were met before, by id: one that stands in two places stays one.
    """
    known = {} if known is None else known
    if type(value) in (list, tuple):
        return tuple(hashable(each, known) for each in value)
    if isinstance(value, dict):
        return FrozenDict({name: hashable(each, known) for name, each in value.items()})
    if isinstance(value, nn.Module):
        if id(value) not in known:
            fields = (f.name for f in dataclasses.fields(value) if f.init and f.name not in ("parent", "name"))
            known[id(value)] = value.clone(**{name: hashable(getattr(value, name), known) for name in fields})
        return known[id(value)]
    return value
