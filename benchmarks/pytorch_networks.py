"""The networks of `pytorch_models.loop`, those of `pt_jax.signal_noise.models`: a first layer, and what stands above.

What stands above takes the inner products h of n samples, (n, patches, 2m), and says by `take` what belongs to the
first `rows` units, which come with them where they are inherited; the rest stays fresh.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pt_jax.signal_noise.network import Net

HIDDEN = 32  # units of the second layer of `Mlp`


def second_layer(units: int) -> Tensor:
    """Return +1/m, -1/m, +1/m, ..., (2m,), for filters in their order in pt_jax, in double precision."""
    m = units // 2
    return torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(m) / m


class Cnn(nn.Module):
    """The two-layer CNN, whose second layer may be trained."""

    def __init__(self, units: int, trained: bool = False):
        super().__init__()
        self.readout = nn.Parameter(second_layer(units), requires_grad=trained)

    def forward(self, h: Tensor) -> Tensor:
        return h.relu().sum(1) @ self.readout

    def take(self, other: "Cnn", rows: int) -> None:
        self.readout[:rows] = other.readout[:rows]


class Mlp(nn.Module):
    """One more dense layer, with biases, from He's initial weights."""

    def __init__(self, units: int):
        super().__init__()
        self.hidden, self.last = nn.Linear(units, HIDDEN), nn.Linear(HIDDEN, 1, bias=False)
        nn.init.kaiming_normal_(self.hidden.weight)
        nn.init.zeros_(self.hidden.bias)
        nn.init.normal_(self.last.weight, std=HIDDEN**-0.5)

    def forward(self, h: Tensor) -> Tensor:
        return self.last(self.hidden(h.relu().sum(1)).relu()).squeeze(1)

    def take(self, other: "Mlp", rows: int) -> None:
        self.hidden.weight[:, :rows] = other.hidden.weight[:, :rows]


class Attention(nn.Module):
    """One head over the patches with a learned query: even units are keys, odd units values."""

    def __init__(self, units: int):
        super().__init__()
        m = units // 2
        self.query, self.value = (nn.Parameter(torch.full((m,), at)) for at in (m**-0.5, 1 / m))

    def forward(self, h: Tensor) -> Tensor:
        share = (h[..., ::2] @ self.query).softmax(1)
        return (share * (h[..., 1::2] @ self.value)).sum(1)

    def take(self, other: "Attention", rows: int) -> None:
        self.query[: rows // 2] = other.query[: rows // 2]
        self.value[: rows // 2] = other.value[: rows // 2]


ABOVE: dict[str, Callable[[int], Any]] = {
    "cnn": Cnn,
    "cnn_trained": partial(Cnn, trained=True),
    "mlp": Mlp,
    "attention": Attention,
}


class Network(nn.Module):
    """A network from the initial weights of its first layer, (2m, d)."""

    def __init__(self, weights: Tensor, model: str):
        super().__init__()
        self.weights = nn.Parameter(weights)
        self.above = ABOVE[model](len(weights)).to(weights)

    def forward(self, patches: Tensor) -> Tensor:
        """Return f, (n,), of patches (n, patches, d)."""
        return self.above(patches @ self.weights.T)

    @torch.no_grad()
    def take(self, other: "Network", rows: int) -> None:
        """Inherit the first units of another network."""
        self.weights[:rows] = other.weights[:rows]
        self.above.take(other.above, rows)


def network_of(net: Net, model: str) -> Network:
    """Return the network with the parameters of one in pt_jax, in their precision."""
    network, upper = Network(torch.tensor(net.weights), model), net.upper
    values = {
        "cnn": lambda: {},
        "cnn_trained": lambda: {"readout": upper},
        "mlp": lambda: {
            "hidden.weight": upper["units"].T,
            "hidden.bias": upper["bias"][0],
            "last.weight": upper["last"][None],
        },
        "attention": lambda: {"query": upper["query"][::2], "value": upper["value"][1::2]},
    }[model]()
    network.above.load_state_dict({k: torch.tensor(x) for k, x in values.items()}, strict=bool(values))
    return network
