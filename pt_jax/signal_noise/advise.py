"""Should one inherit? From two small labelled samples, or from measured norms, to a verdict with its certainty.

A sample of task k is vectors x_i (n, d), or patches (n, p, d) of which one carries the signal, with labels of two
classes, seen as yhat_i = -1, +1; the same two labels in both samples, of which the last in order is +1. Features need
not be centred: with an offset c, and flips a share of each class, E[x_i | yhat_i] = c + yhat_i (1 - 2 flip_k) mu_k. So
half the difference D_k of the two class means is without offset, and without bias

    (1 - 2 flip_k)^2 |mu_k|^2                  from  |D_k|^2, products of a sample with itself left out
    (1 - 2 flip_1)(1 - 2 flip_2) <mu_1, mu_2>  from  <D_1, D_2>
    d sigma_k^2                                from  the variance of the noise patches, or that of the vectors within
                                                     classes, less 4 flip_k (1 - flip_k) |mu_k|^2

Only |mu_1|^2, |mu_2|^2 and their product enter the prediction: `|u|^2 = <mu_1, mu_2>`, or u = 0 and an angle above
90 degrees where it is negative. Flips show where the signal patch is +-mu without noise; else they are taken from the
point.

The uncertainty of these five numbers is that of a jackknife over groups of samples; it is carried through `predict` by
sixteen draws. The prediction has an error of its own, measured in `sims/theory_agreement.py`. A verdict is given where
its probability is at least 0.9.

Source: derived here; B. Efron, The jackknife, the bootstrap and other resampling plans (1982) for the jackknife.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from pt_jax.inputs import reading
from pt_jax.inputs.field import shown
from pt_jax.signal_noise.fields import FIELDS
from pt_jax.signal_noise.mean_field import in_regime, predict, strides, widest
from pt_jax.signal_noise.point import Point, Static, common_shape, validate

ALPHAS = (0.1, 0.25, 0.5, 0.75, 1.0)
SURE = 0.9
_GROUPS = 10  # of the jackknife
_DRAWS = 16
# The error of a predicted gain, in and outside the regime: scale of a t law with 2 degrees of freedom, which has the
# tails that `sims/theory_agreement.py` finds.
_OWN_ERROR = {True: 0.0015, False: 0.003}
_NO_NOISE = 0.99  # correlation from which on a patch is +-mu
_ROUNDING = 1e-12  # of an overlap of signals
_SPREAD = (1e-6, 1e6)  # of the features, in their own unit
_FEWEST = 3  # samples of a class: two are left where the jackknife leaves one out
_MISSING = ("", "nan", "none", "null", "nat", "<na>", "na", "n/a", "#n/a", "?", "-", "--", ".")  # no label, as text
_COST = 2e-5  # seconds a stride and filter, about, on a core of a server


class Sample(NamedTuple):
    """A labelled sample: `x` (n, d) or (n, p, d), `y` (n,) of two values."""

    x: np.ndarray
    y: np.ndarray


def load(path: str) -> Sample:
    """Read a sample from an npz file with the arrays `x` and `y`.

    Raises:
        ValueError: the file is no such npz, or holds more than 1 GiB; nothing in it is executed.
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
        positive: which label counts as +1 in both samples, None where no samples are given.
    """

    verdict: str
    certainty: float
    gain: float
    best_alpha: float
    best_gain: float
    point: Point
    in_regime: bool
    positive: str | None


def advise(point: Point, source: Sample | None = None, target: Sample | None = None) -> Advice:
    """Say whether to inherit, how much, and how sure this is.

    Args:
        point: how training is done (alpha, m, rates, steps, initial scale); also norms, noise levels and sizes where no
            samples are given, and flips where they cannot be seen.
        source: sample of the upstream task.
        target: sample of the downstream task, with the same features and the same two labels. Training is taken to be
            on features with their offset, the middle of the two class means, taken off.

    Raises:
        ValueError: a sample cannot be used, or the point is not accepted; one sentence says why.
    """
    validate(point)
    if common_shape(point) != ():
        raise ValueError("A point of arrays is not accepted: advise takes one point.")
    points, positive = [point], None
    if source is not None and target is not None:
        samples, positive = _clean(source, target)
        points = _points(point, *samples)
    elif source is not None or target is not None:
        raise ValueError("One sample is not enough: give both a source and a target, or neither.")
    asked = [*points, *(points[0]._replace(alpha=alpha) for alpha in ALPHAS)]
    batch = Point(*(np.array(column, float) for column in zip(*asked, strict=True)))
    gain = np.array(predict(batch, _covering(points[0])).gain)
    inside, by_alpha = bool(in_regime(points[0])), gain[len(points) :]
    certainty = float(stats.t.cdf(gain[: len(points)] / _OWN_ERROR[inside], 2).mean())
    verdict = "inherit" if certainty >= SURE else "do not inherit" if certainty <= 1 - SURE else "undecided"
    best = int(by_alpha.argmax())
    alpha, most = (ALPHAS[best], float(by_alpha[best])) if by_alpha[best] > 0 else (0.0, 0.0)
    return Advice(verdict, certainty, float(gain[0]), alpha, most, points[0], inside, positive)


def seconds(point: Point) -> float:
    """Return about how long `advise` takes beside its compilation: it goes with strides times filters."""
    runs = (point.steps1, point.lr1, point.v1), (point.steps2, point.lr2 * max(1.0, point.lr_ratio), point.v2)
    count = sum(strides(steps, float(widest(lr, point.u**2 + v**2, point.m))) for steps, lr, v in runs)
    return _COST * count * point.m


def _covering(point: Point) -> Static:
    """Return a static that many points share: the prediction does not depend on its n1 and n2, steps are rounded up."""
    most = int(FIELDS["n1"].high)
    steps = {name: 2 ** int(getattr(point, name)).bit_length() for name in ("steps1", "steps2")}
    return Static(n1=most, n2=most, m=int(point.m), **steps)


def _clean(source: Sample, target: Sample) -> tuple[list[Sample], str]:
    """Return both samples as float patches (n, p, d) and labels -1, +1, and the label that is +1."""
    found, classes = [], []
    for name, sample in (("source", source), ("target", target)):
        if not isinstance(sample, tuple) or len(sample) != 2:
            raise ValueError(f"{name} = {shown(sample)} is not accepted: use a Sample of x and y.")
        x = _features(name, sample[0])
        own, index, counts = np.unique(_labels(name, sample[1], len(x)), return_inverse=True, return_counts=True)
        if len(own) != 2:
            raise ValueError(f"y of the {name} has {len(own)} classes: use exactly two.")
        if counts.min() < _FEWEST:
            raise ValueError(f"The {name} has {counts.min()} samples of one class: use at least {_FEWEST} of each.")
        found.append(Sample(x, 2.0 * index - 1.0))
        classes.append(own.tolist())
    if classes[0] != classes[1]:
        told = " and ".join(", ".join(shown(label) for label in own) for own in classes)
        raise ValueError(
            f"The labels of the samples differ, {told}: use the same two labels in both, for the same thing."
        )
    if found[0].x.shape[2] != found[1].x.shape[2]:
        d1, d2 = (one.x.shape[2] for one in found)
        raise ValueError(f"The source has {d1} columns and the target {d2}: use the same features.")
    positive = classes[0][1]
    return found, positive if isinstance(positive, str) else shown(positive)


def _array(name: str, values: Any, wanted: str) -> np.ndarray:
    """Return an array without masked entries; objects as what they hold."""
    try:
        array = np.asarray(values)
        array = np.array(array.tolist()) if array.dtype.kind == "O" else array
    except (ValueError, TypeError, RuntimeError):  # ragged, or a tensor that needs its gradient
        raise ValueError(f"{name} is not accepted: use {wanted}.") from None
    if np.ma.is_masked(values):
        raise ValueError(f"{name} holds masked values: leave these samples or columns out.")
    return array


def _features(name: str, values: Any) -> np.ndarray:
    """Return x as patches (n, p, d), or say what is wrong with it."""
    x = _array(f"x of the {name}", values, "numbers (n, d) or (n, p, d)")
    if x.dtype.kind not in "iuf" or x.ndim not in (2, 3) or 0 in x.shape:
        raise ValueError(f"x of the {name} has shape {x.shape} and type {x.dtype}: use numbers (n, d) or (n, p, d).")
    x = x.astype(float)
    if not np.isfinite(x).all():
        raise ValueError(f"x of the {name} holds values that are not finite: leave these samples or columns out.")
    spread = np.ptp(x, axis=0).max()
    if spread == 0:
        raise ValueError(f"All columns of the {name} are constant: there is nothing to learn from.")
    if not _SPREAD[0] <= spread <= _SPREAD[1]:
        low, high = (f"{end:g}" for end in _SPREAD)
        raise ValueError(f"x of the {name} spreads over {spread:g}: scale the features to between {low} and {high}.")
    return x if x.ndim == 3 else x[:, None]


def _labels(name: str, values: Any, count: int) -> np.ndarray:
    """Return y, numbers or text, (count,), or say what is wrong with it."""
    y = _array(f"y of the {name}", values, "one label for each sample")
    if y.shape != (count,):
        raise ValueError(f"y of the {name} has shape {y.shape}: use one label for each of the {count} samples.")
    if y.dtype.kind not in "biufU":
        raise ValueError(f"y of the {name} has type {y.dtype}: use numbers or text, and leave out what has no label.")
    missing = _stand_for_none(y) if y.dtype.kind == "U" else ~np.isfinite(y)
    if missing.any():
        raise ValueError(f"y of the {name} holds {shown(y[missing][0].item())}, no label: leave these samples out.")
    return y


def _stand_for_none(y: np.ndarray) -> np.ndarray:
    """Return which texts are no label; beside + a - is one."""
    texts = np.strings.lower(np.strings.strip(y))
    return np.isin(texts, [text for text in _MISSING if text != "-" or "+" not in texts])


def _points(point: Point, source: Sample, target: Sample) -> list[Point]:
    """Return the estimated point, then draws around it."""
    d = int(np.sum(np.any([np.ptp(one.x[:, p], axis=0) > 0 for one in (source, target) for p in (0, -1)], axis=0)))
    tasks = [_Task(source, "flip1", point.flip1), _Task(target, "flip2", point.flip2)]
    whole = _estimate(tasks, None, d)
    left_out = [_estimate(tasks, group, d) for group in range(_GROUPS)]
    off = np.array(left_out) - np.mean(left_out, axis=0)
    scale = np.sqrt((_GROUPS - 1) / _GROUPS)
    normal = np.random.default_rng(0).standard_normal((_DRAWS - 1, _GROUPS))
    draws = [whole, *(whole + scale * normal @ off)]  # covariance of the delete-a-group jackknife
    sizes = {"n1": float(len(source.x)), "n2": float(len(target.x))}
    known = {"d": float(d), **sizes, "flip1": tasks[0].flip, "flip2": tasks[1].flip}
    return [point._replace(**known, **_fields(*draw)) for draw in draws]


class _Task:
    """A cleaned sample: signal vectors `x` (n, d) with labels `y`, the noise patches (n, p - 1, d), and `flip`.

    Where signal patches are free of noise (`exact`), labels are put right and `signal` is mu, (d,).
    """

    def __init__(self, sample: Sample, name: str, flip: float):
        if flip >= 0.5:
            raise ValueError(f"{name} = {shown(flip)} is not accepted with samples: use a share below 0.5.")
        x, self.y = sample.x - sample.x.mean(axis=0), sample.y  # nothing depends on the offset: small numbers are exact
        halves = [_half(x[:, p], self.y) for p in range(x.shape[1])]
        strength = [norm / max(np.mean(x[:, p] ** 2), 1e-300) for p, (_, norm) in enumerate(halves)]
        first = int(np.argmax(strength))
        self.x, self.noise, self.flip = x[:, first], np.delete(x, first, axis=1), float(flip)
        middle = (self.x[self.y > 0].mean(axis=0) + self.x[self.y < 0].mean(axis=0)) / 2
        signed = (self.x - middle) * self.y[:, None]
        length = np.linalg.norm(signed, axis=1)
        with_first = signed @ signed[0] / np.maximum(length * length[0], 1e-300)
        self.exact = x.shape[1] > 1 and bool(np.abs(with_first).min() > _NO_NOISE)
        if self.exact:  # the signal itself: undo the flips
            flipped = with_first < 0 if np.mean(with_first > 0) >= 0.5 else with_first > 0
            self.flip, self.y = float(np.mean(flipped)), np.where(flipped, -self.y, self.y)
            self.signal = (self.x[self.y > 0].mean(axis=0) - self.x[self.y < 0].mean(axis=0)) / 2
        self.group = np.empty(len(x), int)
        for sign in (-1, 1):  # each class is spread over all groups
            self.group[self.y == sign] = np.arange(np.sum(self.y == sign)) % _GROUPS


def _half(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Return half the difference of the class means, (d,), and its squared norm without bias."""
    means, norms = [], []
    for sign in (1, -1):
        own = x[y == sign]
        total, n = own.sum(axis=0), len(own)
        means.append(total / n)
        norms.append(float(total @ total - np.sum(own**2)) / (n * (n - 1)))  # products of different samples
    return (means[0] - means[1]) / 2, (norms[0] + norms[1] - 2 * float(means[0] @ means[1])) / 4


def _estimate(tasks: list[_Task], without: int | None, d: int) -> np.ndarray:
    """Return |mu_1|^2, |mu_2|^2, <mu_1, mu_2>, sigma_1^2, sigma_2^2, one group of samples left out or none."""
    norms, noises, halves = [], [], []
    for task in tasks:
        kept = task.group != without
        x, y, flip = task.x[kept], task.y[kept], 0.0 if task.exact else task.flip
        half, norm = (task.signal, float(task.signal @ task.signal)) if task.exact else _half(x, y)
        norms.append(norm / (1 - 2 * flip) ** 2)
        halves.append(half / (1 - 2 * flip))
        if task.noise.shape[1]:
            energy = float(np.mean(np.sum(np.var(task.noise[kept], axis=0, ddof=1), axis=1)))
        else:
            within = x - np.where(y[:, None] > 0, x[y > 0].mean(axis=0), x[y < 0].mean(axis=0))
            energy = float(np.sum(within**2)) / (len(x) - 2) - 4 * flip * (1 - flip) * norms[-1]
        noises.append(energy / d)
    return np.array([*norms, halves[0] @ halves[1], *noises])


def _fields(norm1: float, norm2: float, overlap: float, noise1: float, noise2: float) -> dict[str, float]:
    """Return the fields of a point from the five numbers; what noise made negative, or rounding positive, is 0."""
    norm1, norm2 = max(norm1, 0.0), max(norm2, 0.0)
    overlap = float(np.clip(overlap, -np.sqrt(norm1 * norm2), min(norm1, norm2)))
    shared = overlap if overlap > _ROUNDING * max(norm1, norm2) else 0.0
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
