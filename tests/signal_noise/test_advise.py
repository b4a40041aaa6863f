"""Advice: the estimates, verdicts on problems with known answers, and polite answers to nonsense."""

import jax
import numpy as np
import pytest

from pt_jax.cli import main
from pt_jax.signal_noise.advise import Sample, _points, advise, load
from pt_jax.signal_noise.advise import _clean as clean
from pt_jax.signal_noise.data import dense_world
from pt_jax.signal_noise.point import Point, Static

HELPS = Point(d=500, n1=80, n2=30, u=2.5, v1=1.0, v2=1.0, alpha=1.0, lr1=0.5, lr2=0.5, steps1=30, steps2=30)
HARMS = HELPS._replace(u=0.0, v1=1.0, v2=3.0)
TRAINING = Point(alpha=1.0, lr1=0.5, lr2=0.5, steps1=30, steps2=30)


def samples(point, form="patches", seed=0):
    """One source and one target sample of a point, in R^d."""
    static = Static(n1=int(point.n1), n2=int(point.n2), m=1, d=int(point.d), engine="dense")
    world = dense_world(jax.random.key(seed), jax.tree.map(np.float32, point._replace(m=1)), static)
    found = []
    for task in (world.task1, world.task2):
        x = np.stack([task.label[:, None] * task.mu, task.noise], axis=1)
        found.append(Sample(x if form == "patches" else x.sum(axis=1), np.asarray(task.seen)))
    return found


@pytest.mark.parametrize("form", ["patches", "vectors"])
def test_the_estimates_are_near_the_truth(form):
    point = HELPS._replace(n1=200, n2=200, angle=60.0, sigma1=0.5, v1=2.0)
    estimated, *draws = _points(TRAINING, *(clean("x", one) for one in samples(point, form)))
    overlap = 2.5**2 + 2.0 * 1.0 * 0.5
    norms = np.array([2.5**2 + 2.0**2, 2.5**2 + 1.0**2])
    found = np.array([estimated.u**2 + estimated.v1**2, estimated.u**2 + estimated.v2**2])
    # Vectors: |mu|^2 has a relative standard error of about 2 sigma / (|mu| sqrt(n)) = 0.05; patches show mu itself.
    tolerance = 1e-5 if form == "patches" else 0.25
    np.testing.assert_allclose(found, norms, rtol=tolerance)
    np.testing.assert_allclose(estimated.u**2, overlap, rtol=tolerance)
    np.testing.assert_allclose([estimated.sigma1, estimated.sigma2], [0.5, 1.0], rtol=0.05)
    assert (estimated.d, estimated.n1, estimated.n2) == (500, 200, 200)
    assert abs(estimated.flip1 - 0.1) < 0.1  # 4.7 standard errors of 200 flips; given where there are only vectors
    spread = np.std([draw.u for draw in draws])
    assert spread < 1e-3 if form == "patches" else 0.01 < spread < 0.5


@pytest.mark.parametrize("form", ["patches", "vectors"])
def test_clear_problems_are_decided_rightly(form):
    helps, harms = (advise(TRAINING, *samples(point, form)) for point in (HELPS, HARMS))
    assert helps.verdict == "inherit" and helps.certainty > 0.9 and helps.gain > 0 and helps.best_alpha > 0
    assert harms.verdict == "do not inherit" and harms.certainty < 0.1 and harms.gain < 0 and harms.in_regime is False


def test_a_gain_close_to_zero_is_undecided():
    norms = np.linspace(0.5, 2.5, 9)
    gains = [advise(HARMS._replace(d=1000, u=u)).gain for u in norms]
    assert gains[0] < 0 < gains[-1]
    assert advise(HARMS._replace(d=1000, u=float(np.interp(0.0, gains, norms)))).verdict == "undecided"


def test_measured_norms_are_enough():
    said = advise(HELPS._replace(d=1000))
    assert said.verdict == "inherit" and said.in_regime and said.point == HELPS._replace(d=1000)


GOOD = Sample(np.random.default_rng(0).normal(size=(6, 4)), np.array([0, 1] * 3))


@pytest.mark.parametrize(
    "bad, words",
    [
        (Sample(GOOD.x, np.zeros(6)), "1 classes: use exactly two"),
        (Sample(GOOD.x, np.arange(6)), "6 classes: use exactly two"),
        (Sample(GOOD.x, np.array([0, 1, 1, 1, 1, 1])), "1 samples of one class"),
        (Sample(GOOD.x[:1], GOOD.y[:1]), "1 classes"),
        (Sample(GOOD.x, GOOD.y[:5]), "use one label for each of the 6 samples"),
        (Sample(GOOD.x[:, :3], GOOD.y), "columns and the target 4: use the same features"),
        (Sample(np.where(GOOD.x > 1, np.nan, GOOD.x), GOOD.y), "not finite"),
        (Sample(np.ones((6, 4)), GOOD.y), "All columns of the source are constant"),
        (Sample(GOOD.x.astype(str), GOOD.y), "use numbers"),
        (Sample(GOOD.x[:, 0], GOOD.y), "shape"),
        (Sample(GOOD.x[:, :0], GOOD.y), "shape"),
    ],
)
def test_nonsense_is_answered_in_one_sentence(bad, words):
    with pytest.raises(ValueError) as error:
        advise(TRAINING, bad, GOOD)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_one_sample_alone_is_refused():
    with pytest.raises(ValueError, match="give both a source and a target"):
        advise(TRAINING, GOOD)


def test_a_constant_column_counts_for_nothing():
    padded = [Sample(np.concatenate([x, np.ones((*x.shape[:-1], 7))], axis=-1), y) for x, y in samples(HELPS)]
    estimated, *_ = _points(TRAINING, *(clean("x", one) for one in padded))
    assert estimated.d == 500


def test_the_command_line_reads_npz_and_says_what_is_wrong(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pt_jax.startup.set_up", lambda: None)
    for name, one in zip(("source", "target"), samples(HELPS), strict=True):
        np.savez(tmp_path / f"{name}.npz", x=one.x, y=one.y)
    files = [text for name in ("source", "target") for text in (f"--{name}", str(tmp_path / f"{name}.npz"))]
    training = ["--alpha", "1", "--lr1", "0.5", "--lr2", "0.5", "--steps1", "30", "--steps2", "30"]
    assert main(["advise", *files, *training]) == 0
    out = capsys.readouterr().out
    assert "estimated: |u| = 2.5" in out and "inherit: at alpha = 1" in out
    (tmp_path / "text.npz").write_text("no npz")
    np.savez(tmp_path / "other.npz", z=np.ones(3))
    np.savez(tmp_path / "object.npz", x=np.array([{}], object), y=np.ones(1))
    for name, words in (
        ("none", "is not there"),
        ("text", "not accepted"),
        ("other", "not accepted"),
        ("object", "not"),
    ):
        assert main(["advise", "--source", str(tmp_path / f"{name}.npz"), *files[2:]]) == 2
        assert words in capsys.readouterr().err
    assert load(str(tmp_path / "source.npz")).x.shape == (80, 2, 500)
    assert main(["advise", "--alpha", "2"]) == 2 and "alpha = 2 is not accepted" in capsys.readouterr().err
