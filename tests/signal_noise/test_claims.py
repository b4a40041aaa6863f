"""The claims of arXiv 2509.22056 on simulations, each a paired difference beyond 5 standard errors."""

import numpy as np
import pytest

import pt_jax
from pt_jax.signal_noise.point import Point, Static
from pt_jax.sweep import lanes
from tests.compiling import LONG

HELPED = Point(d=500, n1=30, n2=20, m=10, u=2.0, v1=1.0, v2=1.0, steps1=60, steps2=60, lr1=0.5, lr2=0.5, alpha=0.5)
HARMED = HELPED._replace(u=0.0, v2=3.0, alpha=1.0)
SEEDS = 256
# What is compared: the first point has the larger gain.
CLAIMS = {
    "more inheritance helps": (HELPED._replace(alpha=1.0), HELPED),
    "a larger upstream sample helps": (HELPED._replace(n1=60.0), HELPED._replace(n1=10.0)),
    "less upstream noise helps": (HELPED._replace(sigma1=0.5), HELPED._replace(sigma1=2.0)),
    "a stronger universal signal helps": (HELPED, HELPED._replace(u=0.5)),
    "more inheritance harms without a universal signal": (HARMED._replace(alpha=0.3), HARMED),
    "a larger upstream sample harms without a universal signal": (HARMED._replace(n1=5.0), HARMED._replace(n1=60.0)),
}


@pytest.fixture(scope="module")
def gain():
    """The gain of every seed at each point, from one compilation."""
    points = list(dict.fromkeys([HELPED, HARMED, *(point for pair in CLAIMS.values() for point in pair)]))
    static = Static.covering(points, fixed=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lanes, "CPU_OPTIONS", LONG)
        ds = pt_jax.run(pt_jax.Sweep(pt_jax.simulate, HELPED, points, SEEDS, ("gain",), static))
    return dict(zip(points, ds["gain"].values.astype(float), strict=True))


def score(values):
    """The mean in standard errors over seeds; beyond 5 by luck with probability 1e-6 (t, 255 degrees of freedom)."""
    return values.mean() / (values.std(ddof=1) / np.sqrt(SEEDS))


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_holds(gain, claim):
    more, less = CLAIMS[claim]
    assert score(gain[more] - gain[less]) > 5


def test_a_universal_signal_helps_and_none_harms(gain):
    assert score(gain[HELPED]) > 5 and score(gain[HARMED]) < -5
