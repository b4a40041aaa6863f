"""Small CNNs on images as a sweep of this package: what `vision.py`, `vision_profile.py` and `accelerator.py` time.

Every model is trained from its own random weights on its own 1,000 of the digits, enlarged and with three equal
channels where there are 28 or 32 pixels, by Adam, as `transfer` does it.
"""

import statistics
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from clock import clock

import pt_jax
from pt_jax.vision import datasets, models, training
from pt_jax.vision import task as tasks
from pt_jax.vision.point import Point, Static

N, STEPS, LR = 1000, 200, 0.003


class Setting(NamedTuple):
    """What is trained, and how many models `vision.py` takes in a round: of the group, the small group and the loop."""

    side: int
    channels: int = 1
    model: str = "vgg"
    depth: int = 2
    batch: int = 16
    models: tuple[int, int, int] = (64, 8, 6)


LARGE: dict[str, Any] = {"models": (24, 8, 2)}  # a run of a sweep traces its program, for a second
SETTINGS = {
    "small": Setting(8, depth=1),
    "vgg8": Setting(8),
    "vgg28": Setting(28, **LARGE),
    "vgg28b32": Setting(28, batch=32, **LARGE),
    "vgg32": Setting(32, 3, **LARGE),
    "vgg32b32": Setting(32, 3, batch=32, **LARGE),
    "resnet32": Setting(32, 3, "resnet", **LARGE),
    "resnet32b32": Setting(32, 3, "resnet", batch=32, **LARGE),
}


class Result(NamedTuple):
    loss: jax.Array


def train_one(key: jax.Array, point: Point, static: Static, data: datasets.Pair) -> Result:
    """Train one model from random weights on the target; return its training loss."""
    task = tasks.draw(key, data.target, "2", point, static)
    augmented = {name: getattr(point, f"{name}1") for name in ("shift", "flip") if f"{name}1" in static.dials}
    network, run = models.build(static, 10, False), training.Run(point.lr2, point.steps2, **augmented)
    loss = training.loss_function("cross_entropy", 0.0)
    start = network.init(key, jnp.zeros((1, *static.shape)))["params"]
    ones = jax.tree.map(lambda _: 1.0, start)
    trained = training.train(key, network, start, ones, task, run, static)
    index = task.order[:N]
    logits = training.evaluate(network, trained, task, index, run, static).logits
    return Result(jnp.mean(loss(logits, task.seen[index], point.classes2)))


def step(static: Static, data: datasets.Pair, **fields: float) -> float:
    """Return milliseconds of core time that a step of training takes by itself; `fields` are those of the point."""
    one = jax.jit(lambda key, point: train_one(key, point, static, data))

    def busy(steps: int) -> float:
        point = jax.tree.map(float, Point(n2=N, steps2=steps, lr2=LR, **fields))
        return clock(lambda: jax.block_until_ready(one(jax.random.key(0), point))).cores

    few, many = (1, 3) if static.conv == "lax" else (20, 120)
    busy(0)
    return statistics.median((busy(many) - busy(few)) / (many - few) * 1000 for _ in range(3))


def step_by_lax(static: Static, data: datasets.Pair, batch: int) -> float:
    """Return milliseconds of core time of a step by lax.conv that is called from Python.

    Within a loop of XLA the derivatives of a convolution do not get the kernels that they get outside one.
    """
    network = models.build(replace(static, conv="lax"), 10, False)
    images, labels = jnp.asarray(data.target.train.images), jnp.asarray(data.target.train.labels)
    optimizer = optax.adam(LR)

    @jax.jit
    def one(state: tuple[Any, Any], x: jax.Array, labels: jax.Array) -> tuple[Any, Any]:
        def loss(params: Any) -> jax.Array:
            logits = network.outputs(params, x).logits
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

        params, memory = state
        updates, memory = optimizer.update(jax.grad(loss)(params), memory)
        return optax.apply_updates(params, updates), memory

    params = network.init(jax.random.key(0), images[:1])["params"]
    state = params, optimizer.init(params)

    def some(steps: int) -> Any:
        found = state
        for i in range(steps):
            index = slice(i * batch, (i + 1) * batch)
            found = one(found, images[index], labels[index])
        return jax.block_until_ready(found)

    some(1)
    return statistics.median(clock(lambda: some(20)).cores / 20 * 1000 for _ in range(3))


def images_of(setting: Setting) -> datasets.Pair:
    """Return the digits as a setting takes them."""
    images = datasets.digits() if setting.side == 8 else datasets.resize(datasets.digits(), setting.side)
    images = datasets.colour(images) if setting.channels == 3 else images
    return datasets.pair(images, images)


def static_of(setting: Setting, data: datasets.Pair, **options: Any) -> Static:
    """Return the options of a setting; `options` are others."""
    own = {"model": setting.model, "depth": setting.depth, "batch": setting.batch, "dials": ()}
    return Static.covering(data, Point(n2=N), **own, **options)


def sweep_of(static: Static, data: datasets.Pair, seeds: range, steps: int = STEPS, **how: Any) -> pt_jax.Sweep:
    """Return the training of a model a seed."""
    point = Point(n2=N, steps2=steps, lr2=LR)
    return pt_jax.Sweep(train_one, point, {}, seeds=list(seeds), static=static, data=data, **how)
