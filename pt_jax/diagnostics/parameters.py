"""Parameter pytrees by module: what they are read from, the module of each tensor, and whether pytrees fit together.

A module's name is the path to its tensors without their own name: `Block_0/Conv_1` for `Block_0/Conv_1/kernel`, as
flax names it, `layer1.0.conv1` for `layer1.0.conv1.weight`, as torch names it. A tensor at the top, such as the field
of a NamedTuple, is a module of its own.
"""

from collections import Counter
from os import PathLike
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.tree_util import GetAttrKey, keystr

from pt_jax.diagnostics.arrays import array, real
from pt_jax.inputs import checkpoints

Params = Any  # a pytree of arrays: of flax with or without its outer "params", an nnx.State, a torch state_dict


def by_module(network: Params | str | PathLike) -> dict[str, dict[str, Array]]:
    """Return the real tensors of a network by the names of their modules, then by their own.

    Args:
        network: a safetensors file or one that torch.save wrote, see `checkpoints.read`; a torch state_dict; variables
            of flax.linen; a module of flax.nnx or its state; or any other pytree of arrays.

    Returns:
        Parameters, and what else is real, such as running means of norms: {"layer1.0.conv1": {"weight": ...}}. A pytree
        for every measure here. Counts and random keys are left out.

    Raises:
        ValueError: the file cannot be read, a leaf is no array, no tensor is real, one has no name, or two have one
            name: `a.b` beside `b` in `a`.
    """
    tree = checkpoints.read(network) if isinstance(network, str | PathLike) else network
    found: dict[str, dict[str, Array]] = {}
    for name, module, leaf in zip(_names(tree), modules(tree), jax.tree.leaves(tree), strict=True):
        is_key = isinstance(leaf, Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        if not is_key and jnp.issubdtype(array(name, leaf).dtype, jnp.floating):
            own = parts(name)[-1]
            if own in found.setdefault(module, {}):
                raise ValueError(f"network has two tensors {own!r} in the module {module!r}; expected different names.")
            found[module][own] = real(name, leaf)
    if "" in found:
        raise ValueError("network has a tensor without a name; expected a pytree of tensors that have some.")
    if not found:
        raise ValueError("network holds no tensor of real numbers; expected the parameters of one.")
    return found


def modules(params: Params) -> list[str]:
    """Return the name of the module of every tensor, in the order of `jax.tree.leaves`."""
    found = []
    for name in _names(params):
        name = name.removeprefix("params/")
        own = max(name.rfind("/"), name.rfind("."))
        found.append(name[:own] if own > 0 else name)
    return found


def inside(module: str, outer: str) -> bool:
    """Return whether a module is another one or lies in it."""
    return module == outer or module.startswith((f"{outer}/", f"{outer}."))


def parts(module: str) -> list[str]:
    """Return the modules of a name from the outermost: `layer1`, `0` and `conv1` of `layer1.0.conv1`."""
    return module.replace(".", "/").split("/")


def top(module: str) -> str:
    """Return the outermost module of a name: `Block_0` of `Block_0/Conv_1`, `layer1` of `layer1.0.conv1`."""
    return parts(module)[0]


def check(**params: Params) -> tuple[Params, ...]:
    """Return pytrees with equal names and shapes in the structure of the first, tensors in float32 or better.

    Args:
        **params: pytrees, by the names to be used in messages; they may be of different kinds, such as dict and
            FrozenDict, and in another order.

    Raises:
        ValueError: names or shapes differ, there is no tensor, or one is not real.
    """
    first, *_ = params
    names = _names(params[first])
    if not names:
        raise ValueError(f"{first} holds no tensor; expected a pytree of parameters.")
    found: list[list[Array]] = []
    for name, tree in params.items():
        own = _names(tree)
        if sorted(own) != sorted(names):
            raise ValueError(f"{name} has another pytree structure than {first}; expected parameters of one network.")
        # By name: a torch state_dict is in the order of the layers, other dicts in that of the alphabet.
        place = dict(zip(_by_name(names), _by_name(own), strict=True))
        tensors = _tensors(name, tree)
        found.append([])
        for i in range(len(names)):
            where, tensor = tensors[place[i]]
            found[-1].append(tensor)
            if tensor.shape != found[0][i].shape:
                raise ValueError(f"{where} has shape {tensor.shape}, but {found[0][i].shape} in {first}.")
    return tuple(jax.tree.unflatten(jax.tree.structure(params[first]), tensors) for tensors in found)


def _by_name(names: list[str]) -> list[int]:
    return sorted(range(len(names)), key=names.__getitem__)


def _tensors(name: str, tree: Params) -> list[tuple[str, Array]]:
    """Return where each tensor is, as Python would write it, and the tensor."""
    found = []
    for path, leaf in jax.tree.leaves_with_path(tree):
        where = name + keystr(path)
        if not jnp.issubdtype(array(where, leaf).dtype, jnp.floating):
            dtype = array(where, leaf).dtype
            raise ValueError(f"{where} has dtype {dtype}; expected real parameters: leave out what is none.")
        found.append((where, real(where, leaf)))
    return found


def _names(params: Params) -> list[str]:
    """Return the name of every tensor."""
    paths = [path for path, _ in jax.tree.leaves_with_path(params)]
    siblings = Counter(path[:-1] for path in paths)
    names = []
    for path in paths:
        # flax puts a tensor with its metadata into a box of one field: it is the box that has the tensor's name.
        boxed = path[1:] and path[-1] == GetAttrKey("value") and siblings[path[:-1]] == 1
        names.append(keystr(path[:-1] if boxed else path, simple=True, separator="/"))
    return names
