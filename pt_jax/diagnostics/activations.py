"""The activations of a network by name: the one place that looks inside a network.

`by_module` finds them in flax.linen; `named` takes them from a function that returns them, whatever the network.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict
from jax import Array
from jax.typing import ArrayLike

from pt_jax.diagnostics.arrays import array, real
from pt_jax.diagnostics.parameters import Params

OUTPUT = "(output)"  # the root module; parentheses, so that it is no submodule's name


def by_module(apply: Callable[..., Any], params: Params, images: ArrayLike) -> dict[str, Array]:
    """Return what each module puts out, by its name.

    Args:
        apply: `model.apply` of a flax.linen module; further arguments by `functools.partial(model.apply, train=False)`.
        params: the variables that `model.init` returned, or their "params" alone.
        images: the batch, (n, ...).

    Returns:
        Arrays (n, ...) by module name, `Block_0/Conv_1`, and "(output)" for the network itself; sorted by name. What
        the network sows under "intermediates" is there by its own name. Where a module is called several times, or
        puts out several arrays, `name[0]`, `name[1]`, ... Arrays without the sample axis are left out.

    Source: flax.linen, `capture_intermediates`.
    """
    x = array("images", images)
    variables = params if "params" in params else {"params": params}
    _, state = apply(variables, x, capture_intermediates=True, mutable=["intermediates"])
    found = {}
    for path, values in flatten_dict(state["intermediates"], sep="/").items():
        name = path.removesuffix("__call__").removesuffix("/") or OUTPUT
        outputs = jax.tree.leaves(values)
        for i, output in enumerate(outputs):
            if jnp.shape(output)[:1] == x.shape[:1]:
                found[name if len(outputs) == 1 else f"{name}[{i}]"] = output
    return dict(sorted(found.items()))


def named(function: Callable[..., Any], names: Sequence[str], images: ArrayLike) -> dict[str, Array]:
    """Return activations that a function of the images returns, by names.

    Args:
        function: from the images to the activations of the layers: as many as there are names, in their order, or a
            mapping that has them by these names. It may be of any library, such as a torch module with hooks.
        names: of the layers.
        images: the batch, (n, ...), given to the function as it is.

    Returns:
        Arrays (n, ...) by name, in the order of the names; in float32 or better.

    Raises:
        ValueError: another number of activations, a name that is not there or twice, or one without the sample axis.
    """
    found = function(images)
    if not isinstance(found, Mapping):
        if not hasattr(found, "__len__"):
            raise ValueError(f"function returned a {type(found).__name__}; expected activations by name or in a list.")
        if len(found) != len(names):
            raise ValueError(f"function returned {len(found)} activations for {len(names)} names; expected as many.")
        found = dict(zip(names, found, strict=True))
    if not set(names) <= set(found) or len(set(names)) < len(names):
        raise ValueError(f"names = {list(names)} is not accepted: use each of {', '.join(found)} at most once.")
    samples = jnp.shape(images)[:1]
    activations = {name: real(name, found[name]) for name in names}
    for name, x in activations.items():
        if x.shape[:1] != samples:
            raise ValueError(f"{name} has shape {x.shape}; expected {samples} and so on, an entry for each image.")
    return activations
