"""The hyper-parameters, options and results of this world, in tables.

They are the one place where defaults, ranges, units, symbols and meanings are written: validation, `--help`,
docstrings, dataset attributes and axis labels are read from them. This file imports no jax.
"""

from collections.abc import Mapping
from typing import Any

from pt_jax.inputs.field import LARGEST, Field, Option

# Of training, each a field for each task; 0 is without.
RULES = ("momentum", "weight_decay", "label_noise", "sam", "stop_loss", "stop_error")
RULE_FIELDS = tuple(rule + task for task in "12" for rule in RULES)

# Between these, products of two norms, weights, rates and thousands of steps are numbers of float32.
_POSITIVE: Mapping[str, Any] = {"low": 1e-12, "high": 1e6}
_OR_ZERO: Mapping[str, Any] = {"low": 1e-18, "high": 1e6, "or_zero": True}

FIELDS: Mapping[str, Field] = {
    "d": Field(2000, "1", "$d$", "dimension of a patch", 3, LARGEST, whole=True, above=True),
    "n1": Field(40, "samples", "$N_1$", "upstream sample size", 1, LARGEST, whole=True),
    "n2": Field(40, "samples", "$N_2$", "downstream sample size", 1, LARGEST, whole=True),
    "m": Field(20, "filters", "$m$", "filters of each sign", 1, LARGEST, whole=True),
    "u": Field(2.0, "1", r"$\|u\|$", "norm of the universal signal", **_OR_ZERO),
    "v1": Field(2.0, "1", r"$\|v_1\|$", "norm of the upstream signal", **_OR_ZERO),
    "v2": Field(2.0, "1", r"$\|v_2\|$", "norm of the downstream signal", **_OR_ZERO),
    "angle": Field(90.0, "degrees", r"$\angle(v_1, v_2)$", "angle between the two task signals", 0, 180),
    "sigma1": Field(1.0, "1", r"$\sigma_1$", "upstream noise level", **_OR_ZERO),
    "sigma2": Field(1.0, "1", r"$\sigma_2$", "downstream noise level", **_OR_ZERO),
    "flip1": Field(0.1, "1", "$p_1$", "share of upstream training labels flipped", 0, 1),
    "flip2": Field(0.1, "1", "$p_2$", "share of downstream training labels flipped", 0, 1),
    "alpha": Field(0.5, "1", r"$\alpha$", "fraction of the upstream parameters inherited", 0, 1),
    "lr1": Field(0.1, "1", r"$\eta_1$", "upstream learning rate", **_POSITIVE),
    "lr2": Field(0.1, "1", r"$\eta_2$", "downstream learning rate", **_POSITIVE),
    "lr_ratio": Field(
        1.0, "1", r"$\eta_{inh}/\eta_2$", "learning rate of inherited over fresh parameters, 0 = frozen", **_OR_ZERO
    ),
    "init_scale": Field(0.01, "1", r"$\sigma_0$", "standard deviation of the initial weights", **_POSITIVE),
    "steps1": Field(200, "steps", "$T_1$", "upstream gradient steps", 0, LARGEST, whole=True),
    "steps2": Field(200, "steps", "$T_2$", "downstream gradient steps", 0, LARGEST, whole=True),
    "momentum1": Field(0.0, "1", r"$\mu_1$", "upstream momentum", 0, 1),
    "momentum2": Field(0.0, "1", r"$\mu_2$", "downstream momentum", 0, 1),
    "weight_decay1": Field(0.0, "1", r"$\lambda_1$", "upstream weight decay, added to the gradient", **_OR_ZERO),
    "weight_decay2": Field(0.0, "1", r"$\lambda_2$", "downstream weight decay, added to the gradient", **_OR_ZERO),
    "label_noise1": Field(0.0, "1", "$q_1$", "share of upstream labels flipped anew at each step", 0, 1),
    "label_noise2": Field(0.0, "1", "$q_2$", "share of downstream labels flipped anew at each step", 0, 1),
    "sam1": Field(0.0, "1", r"$r_1$", "upstream radius of sharpness-aware minimisation", **_OR_ZERO),
    "sam2": Field(0.0, "1", r"$r_2$", "downstream radius of sharpness-aware minimisation", **_OR_ZERO),
    "stop_loss1": Field(0.0, "1", "$L_1^*$", "upstream training loss at which training stops, 0 = never", **_OR_ZERO),
    "stop_loss2": Field(0.0, "1", "$L_2^*$", "downstream training loss at which training stops, 0 = never", **_OR_ZERO),
    "stop_error1": Field(0.0, "1", "$e_1^*$", "upstream training error at which training stops, 0 = never", 0, 1),
    "stop_error2": Field(0.0, "1", "$e_2^*$", "downstream training error at which training stops, 0 = never", 0, 1),
    "agree1": Field(1.0, "1", "$a_1$", "share of upstream samples whose v_1 agrees with the label", 0, 1),
    "agree2": Field(1.0, "1", "$a_2$", "share of downstream samples whose v_2 agrees with the label", 0, 1),
    "spread1": Field(0.0, "1", "$s_1$", "upstream signal strength is uniform in 1 -+ spread", 0, 1),
    "spread2": Field(0.0, "1", "$s_2$", "downstream signal strength is uniform in 1 -+ spread", 0, 1),
    "angle_xor": Field(90.0, "degrees", r"$\angle(a, b)$", "angle between the two signals of xor", 0, 180),
    "spectrum": Field(
        0.0, "1", r"$\kappa$", "noise variance is proportional to i^-spectrum along axis i, sigma^2 on average", 0, 10
    ),
}
# Fields that one generator of data, or one law of noise, reads.
DATA_FIELDS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("agree1", "agree2"), ("data", "three_patches")),
    **dict.fromkeys(("spread1", "spread2"), ("data", "amplitudes")),
    "angle_xor": ("data", "xor"),
    "spectrum": ("noise", "power"),
}

_RUNS = ("", "_scratch", "_upstream")  # the network after inheritance, its twin, the one that is inherited from
RESULTS: Mapping[str, tuple[str, str]] = {  # symbol and meaning; all dimensionless
    "error": (r"$\mathcal{E}_{\alpha}$", "test error with transfer"),
    "error_scratch": (r"$\mathcal{E}_0$", "test error from scratch"),
    "gain": (r"$\mathcal{E}_0 - \mathcal{E}_{\alpha}$", "gain: error from scratch - error with transfer"),
    "error_upstream": (r"$\mathcal{E}_1$", "test error on task 1"),
    "error_upstream_after": (r"$\mathcal{E}_{1 | 2}$", "test error on task 1 after transfer to task 2"),
    "error_se": (r"se", "standard error of the test error with transfer, of the test samples alone"),
    "gain_se": (r"se", "standard error of the gain, of the test samples alone"),
    "steps": ("$T$", "training steps made"),
    "loss": ("$L$", "training loss"),
    "diverged": ("diverged", "whether a training loss is not finite or has grown, or a result is no number"),
    "signal_u": (r"$\max j\langle w, e_u\rangle$", "largest component along the universal signal"),
    "signal_v1": (r"$\max j\langle w, e_{v_1}\rangle$", "largest component along the upstream signal"),
    "signal_v2": (r"$\max j\langle w, e_{v_2}\rangle$", "largest component along the downstream signal"),
    "gamma": (r"$\max \gamma$", "largest signal learned"),
    "rho": (r"$\max \rho$", "largest noise memorised"),
    "rho_inherited": (r"$\max \rho_{inh}$", "largest task-1 noise in the inherited filters"),
}
# Results of a trajectory that are one number.
OUTPUTS = (
    *("error", "error_scratch", "error_upstream", "error_upstream_after", "gain", "error_se", "gain_se", "diverged"),
    *(name + run for name in ("loss", "steps", "signal_u", "signal_v1", "signal_v2", "rho") for run in _RUNS),
    "rho_inherited",
)

OPTIONS: Mapping[str, Option] = {
    "engine": Option("span: coefficients, at a cost that is free of d; dense: weights in R^d", ("span", "dense")),
    "model": Option(
        "cnn: two-layer, second layer fixed; cnn_trained: the same, trained; mlp: further dense layers; attention: one "
        "head over the patches; or a flax.linen module or functions (init, apply) of what is above the first layer"
    ),
    "hidden": Option("widths of the further layers of mlp"),
    "data": Option(
        "what samples are made of: two_patches, y (u + v) and noise; three_patches, y u, v and noise; multi_patch; "
        "one_patch; amplitudes; xor; classes; or a pt_jax.Data"
    ),
    "data2": Option("the same for task 2; none is as for task 1"),
    "patches": Option("patches of multi_patch: one signal, the others noise"),
    "classes": Option("classes of data = classes"),
    "noisy": Option("which patches carry noise: rest, those without a signal; all", ("rest", "all")),
    "noise": Option(
        "projected: noise orthogonal to u and v_k; isotropic: any direction; power: projected, with a variance "
        "that falls as i^-spectrum along the i-th of the other axes, drawn in R^d",
        ("projected", "isotropic", "power"),
    ),
    "bias": Option("whether filters have biases"),
    "init": Option(
        "law of the initial weights; span takes Gaussian weights of the same variance", ("normal", "uniform")
    ),
    "inherit": Option("what is inherited: whole filters, or single weights (dense)", ("filters", "weights")),
    "choose": Option("which filters: the first, or those of largest signal or noise", ("first", "signal", "noise")),
    "upper": Option(
        "what is inherited above the first layer: what belongs to the inherited units, nothing (fresh), or all (whole)",
        ("units", "fresh", "whole"),
    ),
    "n_directions": Option("test directions a network, a power of 2; each stands for about 50 test points"),
    "n_test": Option("test samples a network, where model or data are not those of the directions"),
    "record": Option("training steps at which the curves are recorded"),
    "optimizer": Option("a name in optax, or a function from learning rate to optax transformation; span: linear ones"),
    "optimizer2": Option("the same for task 2; none is as for task 1"),
    "upper_optimizer": Option("the same for what is above the first layer, any optimizer; none is as below"),
    "batch": Option("minibatch size, drawn with replacement; none is full batch"),
    "batch2": Option("the same for task 2; none is as for task 1, 0 full batch"),
    "activation": Option("a name in jax.nn, relu^q, huberized_relu, or an elementwise function"),
    "schedule": Option("learning rate over the steps of a task", ("constant", "cosine", "linear")),
    "nesterov": Option("whether momentum is Nesterov's"),
    "loss": Option("logistic (of classes: cross-entropy), squared, hinge, or a function of (labels, outputs)"),
}
