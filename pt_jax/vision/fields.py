"""Every hyper-parameter, option and result of a transfer on images: default, range, unit, symbol and meaning.

Validation, dataset attributes and axis labels are read from these tables. This file imports no jax.
"""

from collections.abc import Mapping
from dataclasses import replace

from pt_jax.inputs.field import LARGEST, Field, Option

_TASK: Mapping[str, Field] = {  # of source (1) and target (2)
    "n": Field(50, "samples", "$N_{k}$", "training samples", 1, LARGEST, whole=True),
    "classes": Field(10, "classes", "$K_{k}$", "classes in use, from 0 on", 2, LARGEST, whole=True),
    "labels": Field(0, "1", "$p_{k}$", "share of training labels replaced by random ones", 0, 1),
    "invert": Field(0, "1", "inversion$_{k}$", "how far images are inverted: x becomes 1 - x at 1", 0, 1),
    "pixels": Field(0, "1", "permuted$_{k}$", "share of pixels that one permutation moves", 0, 1),
    "entries": Field(0, "1", "mixed$_{k}$", "share of entries, channels apart, that one permutation moves", 0, 1),
    "block": Field(0, "pixels", "$b_{k}$", "side of the blocks that are shuffled, 0 = none", 0, LARGEST, whole=True),
    "noise": Field(0, "1", r"$\sigma_{k}$", "standard deviation of the noise on images, whose values lie in [0, 1]"),
    "lr": Field(0.003, "1", r"$\eta_{k}$", "learning rate", above=True),
    "steps": Field(200, "steps", "$T_{k}$", "optimizer steps", 0, LARGEST, whole=True),
}


_DEFAULTS = {"n1": 1000, "steps1": 600, "lr2": 0.01}  # where they differ from those of the other task


def _of_task(name: str, k: str) -> Field:
    field = _TASK[name]
    return replace(
        field,
        default=_DEFAULTS.get(name + k, field.default),
        symbol=field.symbol.replace("{k}", k),
        meaning=f"{'source' if k == '1' else 'target'}: {field.meaning}",
    )


FIELDS: Mapping[str, Field] = {
    **{name + k: _of_task(name, k) for k in "12" for name in _TASK},
    "smoothing1": Field(0, "1", r"$\epsilon_1$", "source: label smoothing", 0, 1),
    "shift1": Field(0, "pixels", "shift$_1$", "source: largest random shift of an image", 0, LARGEST, whole=True),
    "flip1": Field(0, "1", "flip$_1$", "source: probability that an image is mirrored left to right", 0, 1),
    "alpha": Field(1, "1", r"$\alpha$", "fraction of the upstream parameters inherited", 0, 1),
    "lr_ratio": Field(1, "1", r"$\eta_{inh}/\eta_2$", "learning rate of inherited over fresh parameters, 0 = frozen"),
    "layer": Field(0, "1", "layer", "layer that is tuned by the methods layer and skip, 0 = lowest", whole=True),
}

DIALS = tuple(f"{name}{k}" for k in "12" for name in ("labels", "invert", "pixels", "entries", "block", "noise"))
DIALS += ("smoothing1", "shift1", "flip1")  # all off at 0

RESULTS: Mapping[str, tuple[str, str]] = {  # symbol and meaning; all dimensionless but for distance and tuned
    "error": (r"$\mathcal{E}_{\alpha}$", "test error with transfer"),
    "gain": (r"$\mathcal{E}_0 - \mathcal{E}_{\alpha}$", "gain: error from scratch - error with transfer"),
    "loss": ("$L$", "training loss"),
    "diverged": ("diverged", "whether a training loss is not finite or has grown"),
    "inherited": (r"$\alpha$", "fraction of the parameters below the head that was inherited"),
    "tuned": ("tuned", "parameters that were trained on the target"),
    "nc1": ("NC1", "within-class over between-class variability of the training features"),
    "cka": ("CKA", "linear CKA with the upstream network on target images"),
    "cka_runs": ("CKA", "linear CKA of transfer and scratch on target images"),
    "distance": (r"$\|\theta - \theta_1\|$", "distance from the upstream parameters"),
    "transferability": ("$T$", "distance to the random weights over distance to the pretrained ones"),
    "mistakes": ("mistakes", "mistakes of both networks over mistakes of either"),
    "mistakes_independent": ("mistakes", "the same, expected of independent networks"),
    "path": ("$L$", "test loss on the straight line"),
    "path_error": (r"$\mathcal{E}$", "test error on the straight line"),
    "barrier": ("barrier", "test loss above the straight line between its ends"),
    "reset": ("rise", "rise of the test error with one layer put back"),
    "criticality": (r"$\ln(1 + \mu)$", "criticality of one layer, as ln(1 + criticality)"),
}


SIZES: Mapping[str, int] = {  # the largest accepted; all are whole numbers of at least 1
    "width": 2**16,
    "stages": 24,  # so often can the side of an image be halved
    "depth": 1000,
    "n1": LARGEST,
    "n2": LARGEST,
    "batch": LARGEST,
}

MODELS = ("vgg", "resnet", "vit")

OPTIONS: Mapping[str, Option] = {
    "model": Option(
        "architecture, or a flax.linen module, or a function (static, classes, projection) -> module", MODELS
    ),
    "conv": Option("form of the convolutions", ("winograd", "im2col", "lax")),
    "inherit": Option(
        "what alpha is a fraction of: channels of every layer, single weights, or layers from one end",
        ("filters", "weights", "bottom", "top"),
    ),
    "layers": Option("names of the layers that may be inherited, () = all"),
    "method": Option(
        "what is trained on the target: all, the head, one layer and the head, the same with a skip connection",
        ("full", "probe", "layer", "skip"),
    ),
    "loss1": Option("loss on the source", ("cross_entropy", "squared")),
    "projection": Option(
        "projection layer of at most 128 units before the source's head, and what becomes of it", ("no", "drop", "keep")
    ),
    "optimizer": Option("a name in optax, or a function from learning rate to optax transformation"),
    "schedule": Option("learning rate over training", ("constant", "linear", "cosine", "warmup")),
    "batch": Option("minibatch size, drawn with replacement; None is full batch"),
    "cka": Option(
        "estimator of CKA: debiased where test samples are few beside features, see similarity", ("plain", "debiased")
    ),
    "dials": Option("dials that are compiled in; the others must be 0"),
}

HEAD, PROJECTION = "head", "projection"


def layer_names(model: str, stages: int, depth: int, projection: bool) -> tuple[str, ...]:
    """Return the names of the layers below the head, from the images upwards."""
    within = [f"{s}_{d}" for s in range(stages) for d in range(depth)]
    body = {
        "vgg": [f"conv{name}" for name in within],
        "resnet": ["stem", *(f"block{name}" for name in within)],
        "vit": ["embed", *(f"block{name}" for name in within)],
    }[model]
    return (*body, *([PROJECTION] if projection else []))
