"""Should one inherit? From two small labelled samples, or from measured norms, to a verdict with its certainty.

A sample of task k is vectors x_i (n, d), or patches (n, p, d) of which one carries the signal, with labels of two
classes, seen as yhat_i = -1, +1. In the model of this package E[yhat_i x_i] = (1 - 2 flip_k) mu_k, so without bias

    (1 - 2 flip_k)^2 |mu_k|^2                  from  sum over i != j of yhat_i yhat_j <x_i, x_j> / (n (n - 1))
    (1 - 2 flip_1)(1 - 2 flip_2) <mu_1, mu_2>  from  <mean of yhat_i x_i on task 1, the same on task 2>
    d sigma_k^2                                from  the energy of the noise patches, or what is left of the vectors'

Only |mu_1|^2, |mu_2|^2 and their product enter the prediction: |u|^2 = <mu_1, mu_2>, or u = 0 and an angle above 90
degrees where it is negative. Flips show where the signal patch is +-mu without noise; else they are taken from the
point.

The uncertainty of these five numbers is that of a jackknife over groups of samples; it is carried through `predict` by
sixteen draws. The prediction has an error of its own, measured in `sims/theory_agreement.py`. A verdict is given where
its probability is at least 0.9.

Source: derived here; B. Efron, The jackknife, the bootstrap and other resampling plans (1982) for the jackknife.
"""

from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jax import Array
from scipy import stats

from pt_jax import reading
from pt_jax.signal_noise.mean_field import in_regime, predict
from pt_jax.signal_noise.point import FIELDS, Point, Static, validate

ALPHAS = (0.1, 0.25, 0.5, 0.75, 1.0)
SURE = 0.9
_GROUPS = 10  # of the jackknife
_DRAWS = 16
# The error of a predicted gain, in and outside the regime: scale of a t law with 2 degrees of freedom, which has the
# tails that `sims/theory_agreement.py` finds.
_OWN_ERROR = {True: 0.0015, False: 0.003}
_NO_NOISE = 0.99  # correlation from which on a patch is +-mu


class Sample(NamedTuple):
    """A labelled sample: `x` (n, d) or (n, p, d), `y` (n,) of two values."""

    x: np.ndarray
    y: np.ndarray


def load(path: str) -> Sample:
    """Read a sample from an npz file with the arrays `x` and `y`.

    Raises:
        ValueError: the file is no such npz, or holds more than `reading.LARGEST` bytes; nothing in it is executed.
    """
    return Sample(**reading.npz(path, Sample._fields))


class Advice(NamedTuple):
    """The answer.

    Attributes:
        verdict: "inherit", "do not inherit" or "undecided", for the alpha of the point.
        certainty: probability that transfer helps, for the alpha of the point.
        gain: predicted gain at that alpha.
        best_alpha: of `ALPHAS` the one of largest predicted gain, 0 where none helps.
        best_gain: predicted gain there.
        point: what was estimated or given.
        in_regime: whether the prediction was derived for this point.
    """

    verdict: str
    certainty: float
    gain: float
    best_alpha: float
    best_gain: float
    point: Point
    in_regime: bool


def advise(point: Point, source: Sample | None = None, target: Sample | None = None) -> Advice:
    """Say whether to inherit, how much, and how sure this is.

    Args:
        point: how training is done (alpha, m, rates, steps, initial scale); also norms, noise levels and sizes where no
            samples are given, and flips where they cannot be seen.
        source: sample of the upstream task.
        target: sample of the downstream task.

    Raises:
        ValueError: a sample cannot be used, or the point is not accepted; one sentence says why.
    """
    points = [point]
    if source is not None and target is not None:
        points = _points(point, _clean("source", source), _clean("target", target))
    elif source is not None or target is not None:
        raise ValueError("One sample is not enough: give both a source and a target, or neither.")
    for one in points:
        validate(one)
    asked = [*points, *(points[0]._replace(alpha=alpha) for alpha in ALPHAS)]
    batch = Point(*(np.array(column, float) for column in zip(*asked, strict=True)))
    gain = np.array(_gains(batch, _covering(points[0])))
    inside, by_alpha = bool(in_regime(points[0])), gain[len(points) :]
    certainty = float(stats.t.cdf(gain[: len(points)] / _OWN_ERROR[inside], 2).mean())
    verdict = "inherit" if certainty >= SURE else "do not inherit" if certainty <= 1 - SURE else "undecided"
    best = int(by_alpha.argmax())
    alpha, most = (ALPHAS[best], float(by_alpha[best])) if by_alpha[best] > 0 else (0.0, 0.0)
    return Advice(verdict, certainty, float(gain[0]), alpha, most, points[0], inside)


def _covering(point: Point) -> Static:
    """Return a static that many points share: the prediction does not depend on its n1 and n2, steps are rounded up."""
    most = int(FIELDS["n1"].high)
    steps = {name: 2 ** int(getattr(point, name)).bit_length() for name in ("steps1", "steps2")}
    return Static(n1=most, n2=most, m=int(point.m), **steps)


@partial(jax.jit, static_argnames="static")
def _gains(points: Point, static: Static) -> Array:
    return jax.lax.map(lambda point: predict(point, static).gain, points, batch_size=8)


def _clean(name: str, sample: Sample) -> Sample:
    """Return the sample as float patches (n, p, d) and labels -1, +1, or say what is wrong with it."""
    x, y = np.asarray(sample.x), np.asarray(sample.y)
    if x.dtype.kind not in "iuf" or x.ndim not in (2, 3) or 0 in x.shape:
        raise ValueError(f"x of the {name} has shape {x.shape} and type {x.dtype}: use numbers (n, d) or (n, p, d).")
    if y.shape != x.shape[:1]:
        raise ValueError(f"y of the {name} has shape {y.shape}: use one label for each of the {len(x)} samples.")
    if not np.isfinite(x.astype(float)).all():
        raise ValueError(f"x of the {name} holds values that are not finite: leave these samples or columns out.")
    classes, index, counts = np.unique(y, return_inverse=True, return_counts=True)
    if len(classes) != 2:
        raise ValueError(f"y of the {name} has {len(classes)} classes: use exactly two.")
    if len(x) < 4 or counts.min() < 2:
        raise ValueError(f"The {name} has {counts.min()} samples of one class: use at least 2 of each.")
    x = x.astype(float)
    if (np.ptp(x, axis=0) == 0).all():
        raise ValueError(f"All columns of the {name} are constant: there is nothing to learn from.")
    return Sample(x if x.ndim == 3 else x[:, None], 2.0 * index - 1.0)


def _points(point: Point, source: Sample, target: Sample) -> list[Point]:
    """Return the estimated point, then draws around it."""
    if source.x.shape[2] != target.x.shape[2]:
        raise ValueError(
            f"The source has {source.x.shape[2]} columns and the target {target.x.shape[2]}: use the same features."
        )
    varied = [np.ptp(np.concatenate([source.x[:, p], target.x[:, p]]), axis=0) > 0 for p in (0, -1)]
    d = int(np.sum(varied[0] | varied[1]))
    one, two = _Task(source, point.flip1), _Task(target, point.flip2)
    whole = _estimate(one, two, np.ones(len(one.x), bool), np.ones(len(two.x), bool), d)
    left_out = [
        _estimate(one, two, np.arange(len(one.x)) % _GROUPS != g, np.arange(len(two.x)) % _GROUPS != g, d)
        for g in range(_GROUPS)
    ]
    off = np.array(left_out) - np.mean(left_out, axis=0)
    scale = np.sqrt((_GROUPS - 1) / _GROUPS)
    normal = np.random.default_rng(0).standard_normal((_DRAWS - 1, _GROUPS))
    draws = [whole, *(whole + scale * normal @ off)]  # covariance of the delete-a-group jackknife
    known = {"d": float(d), "n1": float(len(one.x)), "n2": float(len(two.x)), "flip1": one.flip, "flip2": two.flip}
    return [point._replace(**known, **_fields(*draw)) for draw in draws]


class _Task:
    """A cleaned sample: signed signal vectors `x` (n, d), energy of the noise `noise` (n,) or None, and `flip`."""

    def __init__(self, sample: Sample, flip: float):
        signed = sample.x * sample.y[:, None, None]
        strength = [_norm2(signed[:, p]) / max(np.mean(signed[:, p] ** 2), 1e-300) for p in range(signed.shape[1])]
        first = int(np.argmax(strength))
        self.x = signed[:, first]
        self.noise = np.sum(np.delete(signed, first, axis=1) ** 2, axis=(1, 2)) / max(signed.shape[1] - 1, 1)
        self.vectors = signed.shape[1] == 1
        with_first = self.x @ self.x[0] / np.maximum(np.linalg.norm(self.x, axis=1) * np.linalg.norm(self.x[0]), 1e-300)
        self.exact = not self.vectors and bool(np.abs(with_first).min() > _NO_NOISE)
        shown = float(min(np.mean(with_first > 0), np.mean(with_first < 0)))
        self.flip = shown if self.exact else float(flip)
        if self.exact:  # the signal itself: undo the flips
            self.x = self.x * np.sign(with_first)[:, None] * (1.0 if np.mean(with_first > 0) >= 0.5 else -1.0)


def _norm2(x: np.ndarray) -> float:
    """Return the mean of <x_i, x_j> over i != j."""
    total = x.sum(axis=0)
    return float((total @ total - np.sum(x**2)) / (len(x) * (len(x) - 1)))


def _estimate(one: _Task, two: _Task, keep1: np.ndarray, keep2: np.ndarray, d: int) -> np.ndarray:
    """Return |mu_1|^2, |mu_2|^2, <mu_1, mu_2>, sigma_1^2, sigma_2^2 from the samples that are kept."""
    norms, noises, means = [], [], []
    for task, keep in ((one, keep1), (two, keep2)):
        x, shrink = task.x[keep], 1.0 if task.exact else 1.0 - 2.0 * task.flip
        norm = _norm2(x) / shrink**2
        energy = np.mean(np.sum(x**2, axis=1)) - norm if task.vectors else np.mean(task.noise[keep])
        norms.append(norm)
        noises.append(energy / d)
        means.append(x.mean(axis=0) / shrink)
    return np.array([*norms, means[0] @ means[1], *noises])


def _fields(norm1: float, norm2: float, overlap: float, noise1: float, noise2: float) -> dict[str, float]:
    """Return the fields of a point from the five numbers; what noise made negative is 0."""
    norm1, norm2 = max(norm1, 0.0), max(norm2, 0.0)
    overlap = float(np.clip(overlap, -np.sqrt(norm1 * norm2), min(norm1, norm2)))
    shared = max(overlap, 0.0)
    opposed = (
        np.degrees(np.arccos(np.clip(overlap / max(np.sqrt(norm1 * norm2), 1e-300), -1, 1))) if overlap < 0 else 90.0
    )
    return {
        "u": float(np.sqrt(shared)),
        "v1": float(np.sqrt(norm1 - shared)),
        "v2": float(np.sqrt(norm2 - shared)),
        "angle": float(opposed),
        "sigma1": float(np.sqrt(max(noise1, 0.0))),
        "sigma2": float(np.sqrt(max(noise2, 0.0))),
    }
