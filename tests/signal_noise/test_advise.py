"""Advice: the estimates, verdicts on problems with known answers, and polite answers to nonsense."""

import jax
import numpy as np
import pytest

from pt_jax.app.cli import main
from pt_jax.signal_noise.advise import Advice, Sample, _clean, _estimate, _points, _Task, advise, load
from pt_jax.signal_noise.data import dense_world
from pt_jax.signal_noise.point import Point, Static
from tests.compiling import jit

HELPS = Point(d=500, n1=80, n2=30, u=2.5, v1=1.0, v2=1.0, alpha=1.0, lr1=0.5, lr2=0.5, steps1=30, steps2=30)
HARMS = HELPS._replace(u=0.0, v1=1.0, v2=3.0)
TRAINING = Point(alpha=1.0, lr1=0.5, lr2=0.5, steps1=30, steps2=30)


draw = jit(dense_world, static_argnums=2)


def samples(point, form="patches", seed=0):
    """One source and one target sample of a point, in R^d."""
    static = Static(n1=int(point.n1), n2=int(point.n2), m=1, d=int(point.d), engine="dense")
    point = jax.tree.map(np.float32, point._replace(m=1))
    world = jax.device_get(draw(jax.random.key(seed), point, static))
    found = []
    for task in (world.task1, world.task2):
        x = np.stack([task.label[:, None] * task.mu, task.noise], axis=1)
        found.append(Sample(x if form == "patches" else x.sum(axis=1), np.asarray(task.seen)))
    return found


def estimates(pair):
    """The estimated point, then draws around it."""
    cleaned, _ = _clean(*pair)
    return _points(TRAINING, *cleaned)


@pytest.mark.parametrize("form", ["patches", "vectors"])
def test_the_estimates_are_near_the_truth(form):
    point = HELPS._replace(n1=200, n2=200, angle=60.0, sigma1=0.5, v1=2.0)
    estimated, *draws = estimates(samples(point, form))
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


@pytest.mark.parametrize("form", [pytest.param("patches", marks=pytest.mark.long), "vectors"])
def test_clear_problems_are_decided_rightly(form):
    more = {"n1": 200, "n2": 80} if form == "vectors" else {}  # these say less
    helps, harms = (advise(TRAINING, *samples(point._replace(**more), form)) for point in (HELPS, HARMS))
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
NO_LABEL = np.where(GOOD.y == 1, 1.0, np.nan)


@pytest.mark.parametrize(
    "bad, words",
    [
        (Sample(GOOD.x, np.zeros(6)), "1 classes: use exactly two"),
        (Sample(GOOD.x, np.arange(6)), "6 classes: use exactly two"),
        (Sample(GOOD.x, np.array([0, 0, 1, 1, 1, 1])), "2 samples of one class: use at least 3"),
        (Sample(GOOD.x[:1], GOOD.y[:1]), "constant"),
        (Sample(GOOD.x, GOOD.y[:5]), "use one label for each of the 6 samples"),
        (Sample(GOOD.x[:, :3], GOOD.y), "columns and the target 4: use the same features"),
        (Sample(np.where(GOOD.x > 1, np.nan, GOOD.x), GOOD.y), "not finite"),
        (Sample(np.ones((6, 4)), GOOD.y), "All columns of the source are constant"),
        (Sample(GOOD.x.astype(str), GOOD.y), "use numbers"),
        (Sample(GOOD.x[:, 0], GOOD.y), "shape"),
        (Sample(GOOD.x[:, :0], GOOD.y), "shape"),
        (Sample(np.ma.masked_greater(GOOD.x, 1), GOOD.y), "masked"),
        (Sample([[1.0], [2.0, 3.0]] * 3, GOOD.y), "use numbers"),
        (
            Sample(GOOD.x, GOOD.y + 1),
            "The labels of the samples differ, 1, 2 and 0, 1: use the same two labels in both",
        ),
        (Sample(GOOD.x, np.array(["0", "1"] * 3)), "differ, '0', '1' and 0, 1"),
        (Sample(GOOD.x, NO_LABEL), "holds nan, no label"),
        (Sample(GOOD.x, NO_LABEL.astype(object)), "holds nan, no label"),
        (Sample(GOOD.x, np.where(GOOD.y == 1, "ill", "NaN")), "holds 'NaN', no label"),
        (Sample(GOOD.x, np.where(GOOD.y == 1, "ill", " ")), "no label"),
        *(
            (Sample(GOOD.x, np.where(GOOD.y == 1, "ill", text)), "no label: leave")
            for text in ("N/A", "?", "-", "", "na")
        ),
        (Sample(GOOD.x, np.array(["ill", None] * 3, object)), "leave out what has no label"),
        (Sample(GOOD.x, np.ma.masked_equal(GOOD.y, 0)), "masked"),
        (Sample(GOOD.x, GOOD.y.astype(complex)), "use numbers or text"),
        ({"x": GOOD.x, "y": GOOD.y}, "use a Sample of x and y"),
    ],
)
def test_nonsense_is_answered_in_one_sentence(bad, words):
    with pytest.raises(ValueError) as error:
        advise(TRAINING, bad, GOOD)
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "point, words",
    [
        (TRAINING._replace(flip1=0.5), "flip1 = 0.5 is not accepted with samples: use a share below 0.5"),
        (TRAINING._replace(flip2=0.7), "flip2 = 0.7 is not accepted with samples"),
        (TRAINING._replace(u=1e39), "u = 1e+39 is not accepted"),
        (TRAINING._replace(alpha=np.array([0.5, 1.0])), "advise takes one point"),
        (TRAINING._asdict(), "use a pt_jax.Point"),
    ],
)
def test_a_point_that_cannot_be_advised_on_is_refused(point, words):
    with pytest.raises(ValueError, match=words.replace("+", "[+]")):
        advise(point, GOOD, GOOD)


def test_one_sample_alone_is_refused():
    with pytest.raises(ValueError, match="give both a source and a target"):
        advise(TRAINING, GOOD)


def test_a_constant_column_counts_for_nothing():
    padded = [Sample(np.concatenate([x, np.ones((*x.shape[:-1], 7))], axis=-1), y) for x, y in samples(HELPS)]
    estimated, *_ = estimates(padded)
    assert estimated.d == 500


@pytest.mark.parametrize("form", ["patches", "vectors"])
def test_an_offset_of_each_column_changes_no_estimate(form):
    pair = samples(HELPS._replace(angle=60.0), form)
    offset = 5.0 + np.random.default_rng(0).normal(size=(2, *pair[0].x.shape[1:]))
    moved = [Sample(np.asarray(x, float) + c, y) for (x, y), c in zip(pair, offset, strict=True)]
    # The same differences of float64 numbers; a norm that is 0 but for rounding is the root of 1e-16.
    for one, two in zip(estimates(pair), estimates(moved), strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("form", ["patches", "vectors"])
def test_the_estimates_have_no_bias_also_with_unequal_classes_and_offsets(form):
    d, rng, found = 60, np.random.default_rng(5), []
    signals, noise, flips = np.zeros((2, d)), (1.0, 0.7), (0.1, 0.2)
    signals[0, :2], signals[1, [0, 2]] = (2.0, 1.0), (2.0, 1.5)
    offset = rng.normal(scale=5.0, size=(2, 2, d))
    for _ in range(400):
        pair = []
        for mu, sigma, flip, c, n in zip(signals, noise, flips, offset, (60, 50), strict=True):
            seen = np.where(rng.random(n) < 0.7, 1, -1)
            signal = np.where(rng.random(n) < flip, -seen, seen)[:, None] * mu
            patches = np.stack([sigma * rng.normal(size=(n, d)), signal], axis=1) + c
            pair.append(Sample(patches if form == "patches" else patches.sum(axis=1), seen))
        cleaned, _ = _clean(*pair)
        tasks = [_Task(one, f"flip{k}", flip) for k, one, flip in zip((1, 2), cleaned, flips, strict=True)]
        found.append(_estimate(tasks, None, d))
    off = np.mean(found, axis=0) - [5.0, 6.25, 4.0, 1.0, 0.49]
    # 5 standard errors over 400 draws: by luck 6e-7 for each of five numbers. Patches show the signal itself: 1e-9.
    assert (np.abs(off) < 5 * np.std(found, axis=0) / 20 + 1e-9).all(), off


def test_flips_may_leave_two_samples_of_a_class():
    one, two = samples(HELPS)
    label = np.sign(np.asarray(one.x)[:, 0, 0])
    kept = np.concatenate([np.flatnonzero(label > 0)[:30], np.flatnonzero(label < 0)[:2]])
    seen = np.where(np.arange(32) == 0, -1.0, label[kept])
    estimated, *_ = estimates([Sample(one.x[kept], seen), two])
    np.testing.assert_allclose([estimated.u, estimated.v1, estimated.flip1], [2.5, 1.0, 1 / 32], rtol=1e-5)


def test_the_same_label_is_plus_1_in_both_samples_and_is_said():
    pair = samples(HELPS)
    said = advise(TRAINING, *pair)
    names = np.array(["ill", "well"])
    for first, second, plus in (
        (lambda y: names[(y > 0).astype(int)], lambda y: names[(y > 0).astype(int)], "well"),
        (lambda y: (y > 0).astype(int), lambda y: (y > 0).astype(float), "1"),
        (lambda y: y > 0, lambda y: (y > 0).astype(object), "True"),
    ):
        other = advise(TRAINING, Sample(pair[0].x, first(pair[0].y)), Sample(pair[1].x, second(pair[1].y)))
        assert other.positive == plus and other[:-1] == said[:-1]
    assert said.positive == "1" and advise(HELPS).positive is None


def test_plus_and_minus_are_labels():
    pair = samples(HELPS)
    signs = [Sample(x, np.where(y > 0, "+", "-")) for x, y in pair]
    assert advise(TRAINING, *signs).positive == "-"  # the last in order
    assert advise(TRAINING, *signs).verdict == advise(TRAINING, *pair).verdict


def test_what_takes_long_is_said_before(capsys, monkeypatch):
    monkeypatch.setattr("pt_jax.app.startup.set_up", lambda: None)
    monkeypatch.setattr(
        "pt_jax.signal_noise.advise.advise", lambda *_: Advice("undecided", 0.5, 0, 0, 0, HELPS, True, None)
    )
    strong = "--steps1 100000 --u 5 --v1 5 --lr1 1"  # few steps at once are stable
    for args, seconds in (("--m 10000", 17), (strong, 13), ("--m 1000", None)):
        assert main(["advise", *args.split()]) == 0
        said = f"so many steps and filters take about {seconds} seconds\n" if seconds else ""
        assert capsys.readouterr().err == said


def test_the_command_line_reads_npz_and_says_what_is_wrong(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pt_jax.app.startup.set_up", lambda: None)
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
