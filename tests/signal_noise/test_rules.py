"""Rules of training as fields of a point, and other data and networks in a sweep."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import pt_jax
from pt_jax.signal_noise import trajectory
from pt_jax.signal_noise.data import dense_world, span_world
from pt_jax.signal_noise.fields import DATA_FIELDS
from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.trajectory import scratch, simulate
from tests.compiling import jit

SIZES = {"d": 60, "n1": 12, "n2": 10, "m": 4, "steps1": 30, "steps2": 40}
POINT = Point(**SIZES, u=1.0, v1=1.0, v2=1.0, lr1=0.5, lr2=0.5, init_scale=0.05)


def test_training_stops_at_the_first_step_whose_loss_or_error_is_low_enough():
    static = Static.covering(POINT, record=tuple(range(41)), rules=("stop_loss2", "stop_error2"))
    run = jit(jax.vmap(lambda seed, point: scratch(jax.random.key(seed), point, static), (0, None)))
    whole = run(np.arange(8), jax.tree.map(float, POINT))
    np.testing.assert_array_equal(whole.steps_scratch, 40)
    losses, targets = np.asarray(whole.curves.scratch.loss), (0.4, 0.2)
    for target in targets:
        found = run(np.arange(8), jax.tree.map(float, POINT._replace(stop_loss2=target)))
        reached = losses <= target
        first = np.where(reached.any(1), reached.argmax(1), 40)
        np.testing.assert_array_equal(found.steps_scratch, first)
        # The same steps in the same program.
        np.testing.assert_allclose(found.loss_scratch, losses[np.arange(8), first], rtol=1e-5)
        assert len(set(first.tolist())) > 2
    none_wrong = run(np.arange(8), jax.tree.map(float, POINT._replace(stop_error2=1e-9)))
    assert len(set(none_wrong.steps_scratch.tolist())) > 2


def test_an_error_is_reached_however_its_samples_are_added_up():
    point = POINT._replace(n2=30, steps2=60, flip2=0.1)
    static = Static.covering(point, rules=("stop_error2",))
    run = jit(jax.vmap(lambda seed, point: scratch(jax.random.key(seed), point, static).steps_scratch, (0, None)))
    for share in (0.1, 0.2):  # 3 and 6 of 30, which are above it as sums of 1/30
        below, exact, above = (
            run(np.arange(32), jax.tree.map(float, point._replace(stop_error2=x)))
            for x in (share - 1e-4, share, share + 1e-4)
        )
        np.testing.assert_array_equal(exact, above)
        assert len(set(exact.tolist())) > 1 and np.all(below >= exact) and np.any(below > exact)


def test_a_rule_that_is_0_decides_nothing():
    point = Point(d=40, m=3, n1=8, n2=8, u=3.0, v2=1.0, flip2=0.0, steps2=4, init_scale=0.1)
    rates = np.geomspace(0.3, 200, 40)

    def diverged(rules, momentum=0.0):
        static = Static.covering(point, loss="squared", rules=rules, n_directions=8)

        @jit
        def run(seed, rate):
            return scratch(jax.random.key(seed), point._replace(lr2=rate, momentum2=momentum), static).diverged

        return np.asarray(jax.vmap(lambda rate: jax.vmap(run, (0, None))(np.arange(64), rate))(rates))

    plain = diverged(())
    np.testing.assert_array_equal(diverged(("momentum2", "stop_error2")), plain)
    # Some end above the loss of step 0, but not above that of the output 0: a rule in force lets them.
    assert diverged(("momentum2",), 1e-9).sum() < plain.sum() < plain.size


def test_padding_does_not_count_in_the_norm_that_an_optimizer_takes():
    def clipped(lr):
        return optax.chain(optax.clip_by_global_norm(0.01), optax.sgd(lr))

    point = POINT._replace(m=3)
    options = {"model": "cnn_trained", "activation": "softplus", "upper_optimizer": clipped}
    narrow, padded = (
        jit(lambda seed, static=static: simulate(jax.random.key(seed), point, static).loss)(0)
        for static in (Static.covering(point, **options), Static.covering(point._replace(m=5), **options))
    )
    np.testing.assert_allclose(padded, narrow, rtol=1e-5)


def test_test_errors_in_the_curves_are_those_of_shorter_runs():
    static = Static.covering(POINT, record=(0, 7, 40), model="mlp", data="three_patches", n_test=256)
    run = jit(lambda point: scratch(jax.random.key(3), point, static))
    curves = run(jax.tree.map(float, POINT)).curves.scratch
    for index, steps in enumerate((0, 7, 40)):
        short = run(jax.tree.map(float, POINT._replace(steps2=steps)))
        # float32: a test sample next to the boundary may change sides.
        np.testing.assert_allclose(curves.error[index], short.error_scratch, atol=5e-3)
    assert len(set(curves.error.tolist())) == 3


RULED = ("momentum1", "weight_decay2", "stop_loss2")


def test_one_trace_for_50_points_of_other_data(monkeypatch):
    static = Static.covering(POINT, data="three_patches", data2="amplitudes", rules=RULED, n_test=64)
    static = replace(static, data2=None)
    traces = []
    monkeypatch.setattr(trajectory, "span_world", lambda *a, **more: traces.append(a) or span_world(*a, **more))
    found = {
        float(
            simulate(
                jax.random.key(0),
                POINT._replace(
                    agree1=1 - i / 100, agree2=i / 60, momentum1=i / 60, weight_decay2=i / 500, stop_loss2=i / 500
                ),
                static,
            ).loss
        )
        for i in range(50)
    }
    assert len(traces) <= 1 and len(found) > 40


@pytest.mark.long
def test_a_sweep_of_other_data_and_networks_is_that_of_single_runs(tmp_path):
    axes = {"alpha,momentum2": [(0.25, 0.0), (1.0, 0.5)], "agree2": [0.5, 1.0]}
    options = {"model": "attention", "data": "three_patches", "n_test": 64}
    static = Static(**options)
    outputs = ("loss", "loss_scratch", "error_upstream")
    for agree2 in ([0.5], axes["agree2"]):  # tiles of one agree2: one program
        sweep = pt_jax.Sweep(simulate, POINT, axes | {"agree2": agree2}, 2, outputs, static, lanes=4)
        stored = pt_jax.run(sweep, store=tmp_path, report=None)
    covering = Static.covering(POINT, rules=("momentum2",), **options)
    one = jit(lambda seed, point: [getattr(simulate(jax.random.key(seed), point, covering), name) for name in outputs])
    for i, j in ((0, 0), (1, 0), (0, 1), (1, 1)):
        alpha, momentum2 = axes["alpha,momentum2"][i]
        point = POINT._replace(alpha=alpha, agree2=axes["agree2"][j], momentum2=momentum2)
        for name, alone in zip(outputs, one(1, jax.tree.map(float, point)), strict=True):
            # float32, other sizes of arrays; an error moves by at most a test sample of 64.
            np.testing.assert_allclose(stored[name].values[i, j, 1], alone, rtol=1e-3, atol=2e-2)


BAD = [
    ({"data": "three"}, {}, "data = 'three' is not accepted: use two_patches, "),
    ({"data": len}, {}, "data = <built-in function len> is not accepted"),
    ({"data2": "classes"}, {}, "data2 = 'classes' is not accepted: axes is 9, but that of data is 3"),
    ({"data2": "one_patch"}, {}, "data2 = 'one_patch' is not accepted: noisy is"),
    ({"patches": 1}, {}, "patches = 1 is not accepted: use a whole number of at least 2"),
    ({"classes": 1}, {}, "classes = 1 is not accepted"),
    ({"classes": 2.5}, {}, "classes = 2.5 is not accepted in Static"),
    ({"noisy": "none"}, {}, "noisy = 'none' is not accepted: use rest or all"),
    ({"noise": "white"}, {}, "noise = 'white' is not accepted: use projected or isotropic or power"),
    ({"n_test": 1}, {}, "n_test = 1 is not accepted"),
    ({"hidden": ()}, {}, r"hidden = \(\) is not accepted"),
    ({"hidden": (4, 0)}, {}, r"hidden = \(4, 0\) is not accepted: use a tuple of widths"),
    ({"hidden": 4}, {}, "hidden = 4 is not accepted"),
    ({"upper": "half"}, {}, "upper = 'half' is not accepted: use units or fresh or whole"),
    ({"optimizer2": "adam"}, {}, "optimizer2 = 'adam' is not accepted by engine = 'span'"),
    ({"upper_optimizer": "adamm", "model": "mlp"}, {}, "upper_optimizer = 'adamm' is not accepted: use"),
    ({"batch2": -1}, {}, "batch2 = -1 is not accepted: use a whole number of at least 0"),
    ({"loss": "hinge", "data": "classes"}, {}, "'hinge' is not accepted of 3 classes: use logistic, squared, or"),
    ({"activation": "relu^0"}, {}, "activation = 'relu\\^0' is not accepted"),
    ({"data": "classes", "classes": 7}, {"m": 3}, "m = 3 is not accepted: use at least 4, a filter for each class"),
    ({}, {"agree2": 0.5}, "agree2 = 0.5 has no effect with data = 'two_patches': use data = 'three_patches'"),
    ({"data": "xor"}, {"spread1": 0.5}, "spread1 = 0.5 has no effect with data = 'xor'"),
    ({}, {"spectrum": 1.0}, "spectrum = 1 has no effect with noise = 'projected': use noise = 'power'"),
    ({"data": "three_patches"}, {"agree1": 1.2}, "agree1 = 1.2 is not accepted"),
    ({"rules": ()}, {"stop_loss2": 0.1}, "stop_loss2 = 0.1 is above 0 and not in the rules of Static"),
    ({"data": "classes", "classes": 30}, {}, "d = 60 is not accepted: use at least 91"),
    ({"data2": "amplitudes"}, {"spread1": 0.5}, "spread1 = 0.5 has no effect with data"),
    ({"data": "amplitudes", "data2": "two_patches"}, {"spread2": 0.5}, "no effect with data2 = 'two_patches'"),
    ({"data2": len}, {}, "data2 = <built-in function len> is not accepted"),
]  # fmt: skip


def simple(key, point, task):
    return jnp.where(jax.random.bernoulli(key), 1.0, -1.0), jnp.ones((2, 1))


DATA = pt_jax.Data(lambda point, task: jnp.eye(1, 3), simple, (False, True))
BAD_DATA = {
    "coefficients": ({"sample": lambda k, p, t: (1.0, jnp.ones((t + 1, 1)))}, r"coefficients \(3, 1\) of task 2"),
    "signals of task 2": ({"signals": lambda p, t: jnp.eye(1, 3) * (1 // (2 - t))}, "by zero"),
    "quiet of length 2": ({"quiet": lambda p, t: 2 * jnp.eye(1, 3)}, "quiet of task 1 has no orthonormal rows"),
    "quiet of 5": ({"quiet": lambda p, t: jnp.eye(1, 5)}, "quiet of task 1 has no orthonormal rows of 3"),
    "quiet of one axis": ({"quiet": lambda p, t: jnp.ones(3)}, "quiet of task 1"),
    "axes": ({"axes": 2}, "use at least 3 axes"),
    "axes of real": ({"axes": 3.0}, "use at least 3 axes"),
    "classes": ({"classes": 1}, "at least 2 classes"),
    "labels 0 and 1": ({"sample": lambda k, p, t: (0, jnp.ones((2, 1)))}, r"labels \[0\] of task 1; use \(-1, 1\)"),
    "labels of classes": ({"classes": 2, "sample": lambda k, p, t: (2, jnp.ones((2, 1)))}, "labels .* use range"),
    "no noise": ({"noisy": (False, False)}, "of which one is True"),
    "noisy of numbers": ({"noisy": (0, 2)}, "a tuple of True and False"),
    "noisy a list": ({"noisy": [False, True]}, "use two_patches, .* or a pt_jax.Data of functions and tuples"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_DATA)
def test_data_whose_parts_do_not_fit_are_refused_in_a_sentence(name):
    parts, said = BAD_DATA[name]
    with pytest.raises(ValueError, match=said) as caught:
        simulate(jax.random.key(0), POINT, Static.covering(POINT, data=DATA._replace(**parts)))
    assert str(caught.value).startswith("data = ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(("options", "fields", "said"), BAD, ids=str)
def test_wrong_inputs_are_answered_by_a_sentence(options, fields, said):
    with pytest.raises(ValueError, match=said) as caught:
        simulate(jax.random.key(0), POINT._replace(**fields), Static.covering(POINT, **options))
    assert "\n" not in str(caught.value)


def test_fields_of_data_are_read_by_the_data_that_name_them():
    values = {"agree1": 0.5, "agree2": 0.5, "spread1": 0.5, "spread2": 0.5, "angle_xor": 45.0, "spectrum": 1.0}
    assert set(values) == set(DATA_FIELDS)
    drawn = jit(
        lambda point, static: (dense_world if static.full else span_world)(jax.random.key(1), point, static),
        static_argnums=1,
    )
    for name, value in values.items():
        option, wanted = DATA_FIELDS[name]
        static, task = Static.covering(POINT, **{option: wanted}), f"task{2 if name[-1] == '2' else 1}"
        base = jax.tree.map(jnp.float32, POINT)
        one, two = (getattr(drawn(at, static), task) for at in (base, base._replace(**{name: jnp.float32(value)})))
        assert any(np.any(x != y) for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True)), name
