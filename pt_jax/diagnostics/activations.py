"""The activations of a flax.linen network by module name: the one place that looks inside a network."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict
from jax import Array
from jax.typing import ArrayLike

from pt_jax.diagnostics.arrays import array
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
