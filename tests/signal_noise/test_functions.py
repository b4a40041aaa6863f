"""The functions that Static names: what is no optimizer, activation or loss is refused before any work."""

import jax
import jax.numpy as jnp
import optax
import pytest

from pt_jax.signal_noise.functions import decays, resolve
from pt_jax.signal_noise.point import Point, Static
from pt_jax.signal_noise.trajectory import scratch, simulate

SIZES = {"n1": 4, "n2": 4, "m": 2, "d": 8, "steps1": 0, "steps2": 2}
BAD = {
    "optimizer": ["chain", "lbfgs", "clip", "scale", "identity", "losses", "sgdd", "", optax.adam(0.1), lambda lr: lr],
    "activation": [
        "glu",
        "one_hot",
        "softmax",
        "logsumexp",
        "initializers",
        "rellu",
        "relu^x",
        "relu^0.5",
        lambda x: x / x.sum(),
        jnp.sign,
    ],
    "loss": ["mro", "huber", "__doc__", lambda f: f, lambda y, f: jnp.mean((y - f) ** 2), lambda y, f: y > f],
}
BAD["activation"][-1] = lambda x: x > 0
GOOD = {
    "optimizer": ["adam", "lion", lambda lr: optax.chain(optax.clip(1.0), optax.sgd(lr, momentum=0.9))],
    "activation": ["gelu", "softplus", "relu^2.5", "huberized_relu", lambda x: jnp.maximum(x, 0) ** 2],
    "loss": ["squared", "hinge", lambda y, f: jnp.exp(-y * f)],
}


def cases(table):
    return [(option, value) for option, values in table.items() for value in values]


@pytest.mark.parametrize(("option", "value"), cases(BAD))
def test_what_does_not_fit_is_refused_in_one_sentence(option, value):
    with pytest.raises(ValueError) as caught:
        static = Static(engine="dense", **{option: value})
        for function in (simulate, scratch):
            function(jax.random.key(0), Point(), static)
    text = str(caught.value)
    assert f"{option} = " in text and "is not accepted: use " in text and "\n" not in text


@pytest.mark.parametrize(("option", "value"), cases(GOOD))
def test_what_fits_is_taken_also_while_somebody_traces(option, value):
    static = Static(engine="dense", **{option: value})
    traced = jax.jit(jax.vmap(lambda x: (resolve(option, static), x)[1]))
    assert traced(jnp.ones(2)).shape == (2,) and callable(resolve(option, static))


LINEAR = {
    "sgd": optax.sgd,
    "momentum": lambda lr: optax.sgd(lr, momentum=0.9),
    "nesterov": lambda lr: optax.sgd(lr, momentum=0.9, nesterov=True),
    "weight decay": lambda lr: optax.chain(optax.add_decayed_weights(0.1), optax.sgd(lr)),
    "schedule": lambda lr: optax.chain(optax.scale_by_schedule(optax.cosine_decay_schedule(1.0, 9)), optax.sgd(lr)),
    "average": lambda lr: optax.chain(optax.ema(0.9), optax.scale(-lr)),
    "two at a time": lambda lr: optax.MultiSteps(optax.sgd(lr), 2).gradient_transformation(),
}
NOT_LINEAR = {
    **{name: getattr(optax, name) for name in ("adam", "rmsprop", "adagrad", "lion", "lamb", "sign_sgd", "adafactor")},
    "clip": lambda lr: optax.chain(optax.clip(1.0), optax.sgd(lr)),
    "clip by norm": lambda lr: optax.chain(optax.clip_by_global_norm(1e4), optax.sgd(lr)),
    "centralize": lambda lr: optax.chain(optax.centralize(), optax.sgd(lr)),  # filters are not apart
    "radam": lambda lr: optax.radam(lr, threshold=8.0),  # linear for the first steps
    "clip by unit": lambda lr: optax.chain(optax.adaptive_grad_clip(0.1), optax.sgd(lr)),
}


@pytest.mark.parametrize("name", LINEAR)
def test_optimizers_that_are_linear_train_in_coefficients(name):
    assert resolve("optimizer", Static(optimizer=LINEAR[name])) is LINEAR[name]


@pytest.mark.parametrize("name", NOT_LINEAR)
def test_optimizers_that_are_not_linear_are_left_to_the_dense_engine(name):
    static = Static(optimizer=NOT_LINEAR[name])
    with pytest.raises(ValueError, match=r"optimizer = .* is not accepted by engine = 'span'.*engine = 'dense'"):
        simulate(jax.random.key(0), Point(), static)
    resolve("optimizer", Static(engine="dense", optimizer=NOT_LINEAR[name]))


def kept(lr):
    return optax.inject_hyperparams(optax.sgd)(learning_rate=lr)


@pytest.mark.parametrize("own", [kept, lambda lr: optax.chain(optax.add_decayed_weights(lr / 10), kept(lr))])
def test_an_optimizer_that_keeps_its_learning_rate_is_refused_with_a_schedule(own):
    assert resolve("optimizer", Static(optimizer=own)) is own
    with pytest.raises(ValueError, match=r"is not accepted with schedule = 'linear': it keeps the learning rate"):
        resolve("optimizer", Static(optimizer=own, schedule="linear"))


@pytest.mark.parametrize(
    "name", ["two at a time", "centralize", "weight decay", "late", "ten at a time", "in float32", "with a key"]
)
def test_an_optimizer_that_follows_its_learning_rate_takes_a_schedule(name):
    late = {
        "late": lambda lr: optax.sgd(optax.join_schedules([lambda _: 0.0, lambda _: lr], [5])),
        "in float32": in_float32,
        "with a key": lambda lr: optax.noisy_sgd(lr, key=jax.random.key(0)),
        "ten at a time": lambda lr: optax.chain(optax.sgd(lr), optax.apply_every(10)),
    }
    own = (LINEAR | NOT_LINEAR | late)[name]
    assert resolve("optimizer", Static(engine="dense", optimizer=own, schedule="linear")) is own


def test_what_decays_without_a_gradient():
    others = {"adamw": optax.adamw, "float32": in_float32, "rounded": optax.contrib.schedule_free_sgd}
    found = {name: decays(own) for name, own in (LINEAR | NOT_LINEAR | others).items()}
    assert [name for name, does in found.items() if does] == ["weight decay", "lion", "adamw"]


def in_float32(lr):
    """Momentum that keeps its state in float32, wherever it is."""

    def update(gradients, state, _):
        state = jax.tree.map(lambda v, g: jnp.asarray(0.9 * v + g), state, gradients)
        return jax.tree.map(lambda v: -lr * v, state), state

    return optax.GradientTransformation(
        lambda params: jax.tree.map(lambda x: jnp.zeros(x.shape, jnp.float32), params), update
    )


def test_functions_that_cannot_be_hashed_are_refused():
    class Unhashable:
        __hash__ = None

        def __call__(self, x):
            return x

    with pytest.raises(ValueError, match=r"activation = .* is not accepted: use a name or a hashable function"):
        Static(engine="dense", activation=Unhashable())
