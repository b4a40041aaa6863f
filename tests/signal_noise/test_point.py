"""Bad input ends in one sentence with the field, the value and what is accepted; good input does not."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pt_jax.signal_noise import theory
from pt_jax.signal_noise.advise import advise
from pt_jax.signal_noise.fields import FIELDS
from pt_jax.signal_noise.point import Point, Static, validate
from pt_jax.signal_noise.trajectory import scratch, simulate
from tests.compiling import jit
from tests.signal_noise.cases import BASE, POINT

BAD_VALUES = [
    *[(name, value) for name in ("alpha", "flip1", "flip2") for value in (-0.1, 1.0001)],
    *[("angle", value) for value in (-1, 180.5)],
    *[("d", value) for value in (3, 2, 0, -5, 2**24 + 1, 20.5)],
    *[(name, -0.5) for name in ("sigma1", "sigma2", "u", "v1", "v2", "lr_ratio")],
    *[(name, value) for name in ("n1", "n2", "m") for value in (0, -1, 2.5, 2**24 + 1)],
    *[(name, value) for name in ("steps1", "steps2") for value in (-1, 2.5)],
    *[(name, value) for name in ("lr1", "lr2", "init_scale") for value in (0, -0.1)],
    *[(name, value) for name in Point._fields for value in (np.nan, np.inf, -np.inf)],
    *[(name, value) for name in ("u", "v1", "v2", "sigma1", "sigma2", "lr_ratio") for value in (1e-19, 1.5e6, 1e39)],
    *[(name, value) for name in ("lr1", "lr2", "init_scale") for value in (1e-20, 1e-38, 1e20)],
    *[("n1", 20_000_001), ("d", 4.0000000001)],
]


@pytest.mark.parametrize(("name", "value"), BAD_VALUES)
@pytest.mark.parametrize("shape", ["scalar", "array"])
def test_value_out_of_range_names_field_value_and_what_is_accepted(name, value, shape):
    with pytest.raises(ValueError) as caught:
        validate(Point(**{name: value if shape == "scalar" else np.array([FIELDS[name].default, value])}))
    text = str(caught.value)
    assert f"{name} = {str(value).removesuffix('.0')} is not accepted" in text
    assert FIELDS[name].accepted in text and FIELDS[name].meaning in text


@pytest.mark.parametrize("name", Point._fields)
@pytest.mark.parametrize("value", ["many", "0.5", True, 1j], ids=repr)
def test_what_is_not_a_real_number_is_refused(name, value):
    with pytest.raises(ValueError) as caught:
        validate(Point(**{name: value}))
    text = str(caught.value)
    assert f"{name} = {value!r}" in text and FIELDS[name].accepted in text


@pytest.mark.parametrize("name", Point._fields)
def test_every_range_ends_where_the_table_says(name):
    field = FIELDS[name]
    low, high = field.low + field.above, field.high  # only whole numbers leave their low end out
    validate(Point(**{name: np.array([low, field.default, high])}))
    for beyond in (low - 1, high + 1) if field.whole else (low * (1 - 1e-6) or -1e-9, high * (1 + 1e-6)):
        with pytest.raises(ValueError, match=f"^{name} = .*{re.escape(field.accepted)}"):
            validate(Point(**{name: np.array([field.default, beyond])}))


def test_unknown_fields_are_refused():
    with pytest.raises(TypeError, match="depth"):
        Point(depth=3)
    with pytest.raises(TypeError, match="depth"):
        Static(depth=3)


@pytest.mark.parametrize("name", ["n1", "n2", "m", "steps1", "steps2"])
@pytest.mark.parametrize("engine", ["span", "dense"])
def test_size_above_its_maximum_in_static_is_refused(name, engine):
    static = Static(engine=engine)
    point = Point()._replace(**{name: getattr(static, name) + 1})
    with pytest.raises(ValueError) as caught:
        simulate(jax.random.key(0), point, static)
    text = str(caught.value)
    assert f"{name} = {getattr(point, name)}" in text and f"maximum {getattr(static, name)}" in text and "use" in text
    validate(point, Static.covering(point, engine=engine))


def test_d_has_a_maximum_in_the_dense_engine_only():
    point = Point(d=100_000)
    validate(point, Static(engine="span", d=2000))
    with pytest.raises(ValueError, match=r"d = 100000 is above the maximum 2000 in Static"):
        validate(point, Static(engine="dense", d=2000))


def test_none_empty_and_ragged_leaves_are_refused():
    for value in (None, np.array([]), [1, [2, 3]]):
        with pytest.raises(
            ValueError, match=r"u = .* is not accepted: norm of the universal signal must be 0 or a number"
        ):
            validate(Point(u=value))
    with pytest.raises(ValueError, match=r"points = \[\] is not accepted"):
        Static.covering([])


def test_an_optimizer_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"optimizer = 'apply_updates' is not accepted: use a name in optax"):
        simulate(jax.random.key(0), Point(), Static(engine="dense", optimizer="apply_updates"))


def test_leaves_that_do_not_broadcast_are_refused():
    with pytest.raises(ValueError, match=r"broadcast.*alpha \(3,\).*|broadcast.*u \(2,\).*alpha \(3,\)"):
        validate(Point(u=np.ones(2), alpha=np.full(3, 0.5)))
    validate(Point(u=np.ones((2, 1)), alpha=np.full(3, 0.5)))


OTHERS = [{"u": 1.0}, Point()._asdict(), None, "u", 3, (1, 2), Static(), print]


@pytest.mark.parametrize("thing", OTHERS, ids=lambda thing: type(thing).__name__)
def test_what_is_no_point_is_refused_by_everything_that_takes_one(thing):
    takers = [lambda p: simulate(jax.random.key(0), p), lambda p: scratch(jax.random.key(0), p), validate]
    takers += [Static().validate, Static.covering, advise]
    takers += [getattr(theory, n) for n in theory.__all__ if n not in ("Prediction", "predicted")]
    for take in takers:
        with pytest.raises(ValueError, match=r"is not accepted: use a pt_jax\.Point") as caught:
            take(thing)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("static", [None, {"m": 3}, Static, "span"], ids=repr)
def test_what_is_no_static_is_refused(static):
    for take in (lambda s: simulate(jax.random.key(0), Point(), s), lambda s: theory.predict(Point(), s)):
        with pytest.raises(ValueError, match=r"static = .* is not accepted: use a pt_jax.Static"):
            take(static)


def test_numbers_of_any_kind_are_taken():
    key, plain = jax.random.key(0), simulate(jax.random.key(0), POINT._replace(u=2.0, m=3), BASE)
    for kind in (np.float16, np.float32, np.int8, np.asarray, jnp.asarray, jnp.bfloat16):
        assert simulate(key, POINT._replace(u=kind(2), m=kind(3)), BASE).gain == plain.gain


def test_concrete_leaves_are_taken_in_somebodys_jit():
    point, seen = POINT._replace(u=jnp.asarray(2.0), m=jnp.asarray(3), d=jnp.asarray(60)), []

    @jit
    def theirs(v2):
        seen.append((BASE.size_class(point).m, Static.covering(point).d, theory.in_regime(point)))
        return simulate(jax.random.key(0), point._replace(v2=v2), BASE).gain

    plain = simulate(jax.random.key(0), POINT._replace(u=2.0, m=3), BASE).gain
    np.testing.assert_allclose(theirs(POINT.v2), plain, atol=1e-4)  # fused otherwise: a unit at zero may flip
    assert seen[0][:2] == (3, 60)


@pytest.mark.parametrize("name", Point._fields)
def test_simulate_takes_scalars_only(name):
    with pytest.raises(ValueError, match=rf"{name} has shape \(2,\).*vmap"):
        simulate(jax.random.key(0), Point()._replace(**{name: jnp.full(2, FIELDS[name].default)}))


@pytest.mark.parametrize(
    "key", [jax.random.PRNGKey(0), 0, np.zeros(2, np.uint32), None, jnp.zeros(())], ids=lambda key: type(key).__name__
)
def test_only_one_typed_key_is_accepted(key):
    with pytest.raises(ValueError, match=r"key = .* is not accepted: use one typed key, jax.random.key\(seed\)"):
        simulate(key, Point())


def test_several_keys_are_refused():
    with pytest.raises(ValueError, match=r"(?s)key = .* is not accepted"):
        simulate(jax.random.split(jax.random.key(0)), Point())


@pytest.mark.parametrize(("name", "value"), [("inherit", "weights"), ("optimizer", "adam")])
def test_span_refuses_what_only_dense_has(name, value):
    with pytest.raises(ValueError) as caught:
        simulate(jax.random.key(0), Point(), Static(**{name: value}))
    text = str(caught.value)
    assert f"{name} = {value!r}" in text and "engine = 'dense'" in text
    Static(engine="dense", **{name: value})


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("engine", "sparse", "span or dense"),
        ("noise", "white", "projected or isotropic"),
        ("init", "zeros", "normal or uniform"),
        ("inherit", "layers", "filters or weights"),
        ("choose", "best", "first or signal or noise"),
        ("bias", 1, "True or False"),
        ("n_directions", 0, "power of 2"),
        ("n_directions", -4, "power of 2"),
        ("n_directions", 100, "power of 2"),
        ("batch", 0, "at least 1"),
        ("n_directions", 64.0, "whole number"),
        ("n_directions", True, "whole number"),
        ("batch", 2.5, "whole number"),
        ("batch", "8", "whole number"),
        ("n1", 40.0, "whole number"),
        ("m", 12000, "at most 10000"),
        ("optimizer", 3, "a name or a hashable function"),
        ("record", 10, "increasing"),
        ("record", (0.5,), "increasing"),
        ("record", "ab", "increasing"),
        ("record", (5, 0), "increasing"),
        ("record", (0, 0), "increasing"),
        ("record", (-1, 4), "from 0 on"),
        ("n1", 0, "from 1 to"),
        ("n2", 2.5, "whole number"),
        ("m", "ten", "whole number"),
        ("steps1", -1, "from 0 to"),
        ("d", 3, "above 3"),
    ],
)
def test_options_of_static_name_what_is_accepted(name, value, accepted):
    with pytest.raises(ValueError) as caught:
        Static(**{"engine": "dense", name: value})
    text = str(caught.value)
    assert f"{name} = {value!r}" in text and accepted in text


@pytest.mark.parametrize(("name", "value"), [("optimizer", "sgdd"), ("activation", "rellu"), ("loss", "huber")])
def test_unknown_function_names_of_the_dense_engine_are_refused(name, value):
    static = Static(engine="dense", **{name: value})
    with pytest.raises(ValueError) as caught:
        jax.eval_shape(lambda point: simulate(jax.random.key(0), point, static), Point())
    assert f"{name} = {value!r} is not accepted" in str(caught.value)


def test_covering_takes_the_largest_sizes_and_keeps_options():
    points = [Point(n1=7, m=3, d=50), Point(n1=np.array([5, 9]), m=4, steps2=np.float32(11), d=40)]
    static = Static.covering(points, engine="dense", bias=True)
    assert (static.n1, static.n2, static.m, static.steps1, static.steps2, static.d) == (9, 40, 4, 200, 200, 50)
    assert static.engine == "dense" and static.bias
    assert hash(static) == hash(Static.covering(points, engine="dense", bias=True))
    with pytest.raises(ValueError, match="alpha = 2"):
        Static.covering(Point(alpha=2))


def test_size_class_covers_its_point_and_depends_on_it_alone():
    # The docstring's claim: nothing is wasted up to 10, and at most a fifth of the padded size above.
    for size in range(1, 2001):
        padded = Static(n1=3, m=777).size_class(Point(n1=size)).n1
        assert size <= padded and 0.8 * padded <= size and (padded == size or size > 10)
        assert padded == Static().size_class(Point(n1=padded, m=5)).n1


def test_fixed_maxima_hold_for_every_point():
    static = Static(n1=300, fixed=True)
    assert static.size_class(Point(n1=7)) == static == static.size_class(Point(n1=300))
    with pytest.raises(ValueError, match="n1 = 301 is above the maximum 300"):
        static.validate(Point(n1=301))


def test_rules_are_left_out_of_a_program_that_does_not_need_them():
    point = Point(momentum2=0.9)
    with pytest.raises(ValueError, match=r"momentum2 = 0.9 is above 0 and not in the rules of Static: use Static.cov"):
        simulate(jax.random.key(0), point)
    assert Static.covering(point).rules == ("momentum2",) and Static.covering(Point()).rules == ()
    assert Static().size_class(Point(), moving=["sam1"]).rules == ("sam1",)
    assert Static(fixed=True, rules=("sam1",)).size_class(point).rules == ("sam1",)
    with pytest.raises(ValueError, match=r"rules = \('momentum',\) is not accepted: use a tuple of momentum1"):
        Static(rules=("momentum",))


def test_a_rule_that_is_left_out_and_traced_makes_no_number():
    static = Static(n1=4, n2=4, m=2, steps1=2, steps2=2)
    found = jax.jit(lambda x: scratch(jax.random.key(0), Point(n1=4, n2=4, m=2, steps1=2, steps2=2, sam2=x), static))(
        0.1
    )
    assert found.diverged and np.isnan(found.loss_scratch)


def test_what_predict_does_not_cover_is_said():
    rule = Static(rules=("sam1", "weight_decay2"))
    for point, static in ((Point(sam1=0.1), Static()), (Point(), Static(schedule="cosine")), (Point(), rule)):
        with pytest.raises(ValueError, match=r"^(sam1 =|schedule =|sam1, weight_decay2 above).* by predict: use"):
            theory.predict(point, static)
