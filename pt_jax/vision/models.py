"""Small networks for small images in flax.linen: VGG-like, ResNet-like, and a vision transformer.

A network is a chain of named layers, then features, then a linear head:

    x_0 = images,   x_l = layer_l(x_{l-1}),   h = features(x_L),   logits = W h + b

There are no batch statistics, so that a layer means the same in another network and on other data. Weights start He
normal, biases and the head at 0, so that all networks start with the same outputs. A residual branch is multiplied by
1/sqrt(number of branches): x keeps its size at any depth. The last axis of every tensor is the output channel, which
is what is inherited as a filter.

Source: residual scaling after 'Fixup Initialization' (arXiv 1901.09321), a fixed factor in place of zero weights.
"""

import math
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from pt_jax.inputs.modules import hashable
from pt_jax.vision import own
from pt_jax.vision.architecture import Architecture
from pt_jax.vision.conv import convolve, pool, samples_last
from pt_jax.vision.fields import HEAD, PROJECTION, layer_names
from pt_jax.vision.output import Output, average, with_skip
from pt_jax.vision.own import Own

_HE = nn.initializers.he_normal()
_SCALE = 2.0  # images in [0, 1] then have a mean square near 1, as He's initial weights suppose
_ZERO = nn.initializers.zeros_init()
_PROJECTED = 128  # features behind a projection layer, at most: those of a large last map would be millions of weights


class Network(nn.Module):
    """A chain of layers and a head; a subclass defines `layer` and `last`.

    Attributes:
        classes: K, outputs of the head.
        names: of the layers, from the images upwards.
        width: channels of the first stage; each further one has twice as many.
        stages: how many.
        depth: layers or blocks a stage.
        conv: form of the convolutions, see `conv.convolve`.
    """

    classes: int
    names: tuple[str, ...]
    width: int
    stages: int
    depth: int
    conv: str = "winograd"
    convolves = True  # of the kind of network, no field

    @nn.compact
    def __call__(self, images: Array, skip: Array | None = None) -> Output:
        """Return the outputs for images (n, H, W, C); `skip` (L,) as in `output.with_skip`."""
        x, outputs = _SCALE * images, []
        for i, name in enumerate(name for name in self.names if name != PROJECTION):
            x = self.layer(i, name, x)
            outputs.append(x)
        h = self.last(x)
        if PROJECTION in self.names:
            h = nn.relu(nn.Dense(min(h.shape[1], _PROJECTED), kernel_init=_HE, name=PROJECTION)(h))
            outputs.append(h)
        if skip is not None:
            h = with_skip(h, outputs, skip)
        return Output(nn.Dense(self.classes, kernel_init=_ZERO, name=HEAD)(h), h, tuple(outputs))

    def outputs(self, params: Any, images: Array, skip: Array | None = None) -> Output:
        """Return the outputs with these parameters; arguments as in a call."""
        return cast(Output, self.apply({"params": params}, images, skip))

    def layer(self, i: int, name: str, x: Array) -> Array:
        """Return what the i-th layer puts out, (n, ..., channels)."""
        raise NotImplementedError

    def last(self, x: Array) -> Array:
        """Return the features, (n, D), from what the last layer puts out."""
        return average(x)

    def stage(self, i: int) -> tuple[int, int, bool]:
        """Return stage, channels, and whether it is the last of its stage, of the i-th layer or block."""
        stage = i // self.depth
        return stage, self.width * 2**stage, i % self.depth == self.depth - 1


class VGG(Network):
    """Convolutions with relu, a pooling after each stage, and all of the last map as features."""

    def layer(self, i: int, name: str, x: Array) -> Array:
        """Return relu of the convolution, pooled at the end of a stage."""
        _, channels, pooled = self.stage(i)
        return _ConvLayer(channels, pooled, self.conv, name=name)(x)

    def last(self, x: Array) -> Array:
        """Return the last map, flattened."""
        return x.reshape(len(x), -1)


class ResNet(Network):
    """A convolution, then residual blocks of two each; the mean over positions as features."""

    def layer(self, i: int, name: str, x: Array) -> Array:
        """Return the first convolution, or the sum of a block."""
        if i == 0:
            return _ConvLayer(self.width, False, self.conv, name=name)(x)
        stage, channels, _ = self.stage(i - 1)
        pooled = stage > 0 and (i - 1) % self.depth == 0
        return _Block(channels, pooled, 1 / math.sqrt(self.stages * self.depth), self.conv, name=name)(x)

    def last(self, x: Array) -> Array:
        """Return the mean over positions."""
        return average(nn.relu(x))


class ViT(Network):
    """4 x 4 patches as tokens of 2 width numbers, blocks of attention and two dense layers, the mean of the tokens."""

    convolves = False

    def layer(self, i: int, name: str, x: Array) -> Array:
        """Return the tokens, (n, 16, 2 width)."""
        if i == 0:
            return _Embedding(2 * self.width, name=name)(x)
        return _Attention(2, 1 / math.sqrt(2 * self.stages * self.depth), name=name)(x)

    def last(self, x: Array) -> Array:
        """Return the mean of the tokens, each brought to mean 0 and variance 1."""
        return average(nn.LayerNorm(use_scale=False, use_bias=False)(x))


def build(static: Architecture, classes: int, projection: bool) -> Network | Own:
    """Return the network that `static` describes, with a head of `classes` outputs.

    Raises:
        ValueError: a model of the user's own is no such network.
    """
    if callable(static.model):
        return _of_user(static, classes, projection)
    names = layer_names(static.model, static.stages, static.depth, projection)
    kind = {"vgg": VGG, "resnet": ResNet, "vit": ViT}[static.model]
    return kind(classes, names, static.width, static.stages, static.depth, static.conv)


def check(static: Architecture) -> None:
    """Check the networks of source and target, and that the target's can inherit from the source's.

    Raises:
        ValueError: they are not accepted.
    """
    source = build(static, len(static.counts1), static.projection != "no")
    above, below = own.parameters(source, source.classes, static.shape), parameters(static)
    for name in sorted(set(below) - {HEAD}):
        if name not in above or jax.tree.map(jnp.shape, above[name]) != jax.tree.map(jnp.shape, below[name]):
            where = f"{_name(static.model)} is not accepted: {name} of the target"
            raise ValueError(f"model = {where} is another layer in the source: use one with the same shapes in both.")


def parameters(static: Architecture) -> dict[str, Any]:
    """Return shape and dtype of the target network's parameters."""
    made = build(static, len(static.counts2), static.projection == "keep")
    return own.parameters(made, made.classes, static.shape)


def _of_user(static: Architecture, classes: int, projection: bool) -> Network | Own:
    try:
        made = _made(static, classes, projection)
        own.parameters(made, classes, static.shape, static.method == "skip")
        return made
    except Exception as error:  # of the user's own code, or what flax says about it
        found = str(error).strip().partition("\n")[0].rstrip(".")
        if not isinstance(error, ValueError):
            images = f"images ({', '.join(map(str, ('n', *static.shape)))})"
            found = f"with {images} it ends in {type(error).__name__}, {found}: use a flax.linen module of images alone"
        raise ValueError(f"model = {_name(static.model)} is not accepted: {found}.") from error


def _made(static: Architecture, classes: int, projection: bool) -> Network | Own:
    if isinstance(static.model, nn.Module):
        if static.projection != "no":
            raise ValueError(f"it has no projection layer to {static.projection}: use {own.MAKE}")
        made = static.model
    elif isinstance(static.model, type) and issubclass(static.model, nn.Module):
        raise ValueError(f"it is a class: use an instance, {_name(static.model)}(), or {own.MAKE}")
    else:
        made = hashable(static.model(static, classes, projection))  # type: ignore[operator, call-arg]
    if isinstance(made, Network):
        return made
    if not isinstance(made, nn.Module):
        raise ValueError(f"it returns a {type(made).__name__}: use a flax.linen module, or {own.MAKE}")
    return own.network(made, classes, static.shape)


def _name(model: Any) -> str:
    return getattr(model, "__name__", type(model).__name__)


class _Conv(nn.Module):
    """A convolution with bias; samples are the last axis."""

    channels: int
    side: int
    form: str

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel = self.param("kernel", _HE, (self.side, self.side, len(x), self.channels), jnp.float32)
        bias = self.param("bias", _ZERO, (self.channels,), jnp.float32)
        return convolve(x, kernel, self.form) + bias[:, None, None, None]


class _ConvLayer(nn.Module):
    channels: int
    pooled: bool
    form: str

    @nn.compact
    def __call__(self, images: Array) -> Array:
        x = nn.relu(_Conv(self.channels, 3, self.form, name="conv")(samples_last(images)))
        return samples_last(pool(x) if self.pooled else x)


class _Block(nn.Module):
    channels: int
    pooled: bool
    scale: float
    form: str

    @nn.compact
    def __call__(self, images: Array) -> Array:
        x = samples_last(images)
        x = pool(x) if self.pooled else x
        branch = _Conv(self.channels, 3, self.form, name="conv0")(nn.relu(x))
        branch = _Conv(self.channels, 3, self.form, name="conv1")(nn.relu(branch))
        if len(x) != self.channels:
            x = _Conv(self.channels, 1, self.form, name="shortcut")(x)
        return samples_last(x + self.scale * branch)


class _Embedding(nn.Module):
    channels: int

    @nn.compact
    def __call__(self, images: Array) -> Array:
        n, height, width, channels = images.shape
        if height % 4 or width % 4:
            raise ValueError(f"{height} x {width} pixels are not 4 x 4 patches: use sides that 4 divides.")
        patches = images.reshape(n, 4, height // 4, 4, width // 4, channels).swapaxes(2, 3).reshape(n, 16, -1)
        place = self.param("place", nn.initializers.normal(0.1), (16, self.channels), jnp.float32)
        return nn.Dense(self.channels, kernel_init=_HE, name="patch")(patches) + place


class _Attention(nn.Module):
    heads: int
    scale: float

    @nn.compact
    def __call__(self, x: Array) -> Array:
        n, tokens, channels = x.shape
        y = nn.LayerNorm(name="norm0")(x)
        parts = (nn.Dense(channels, name=name)(y) for name in ("query", "key", "value"))
        mixed = jax.nn.dot_product_attention(*(p.reshape(n, tokens, self.heads, -1) for p in parts))
        x = x + self.scale * nn.Dense(channels, name="mix")(mixed.reshape(x.shape))
        y = nn.gelu(nn.Dense(2 * channels, kernel_init=_HE, name="dense0")(nn.LayerNorm(name="norm1")(x)))
        return x + self.scale * nn.Dense(channels, kernel_init=_HE, name="dense1")(y)
