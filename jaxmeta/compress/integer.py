"""Arithmetic in integers through qwix: training that feels the rounding, calibration, and inference in int8.

    build = partial(recogniser, classes, "gru", "small")
    model = build(wrap=aware())                          # same params; trains as if it computed in int8
    state = calibrated(model, params, batches)           # how large activations are, on recordings
    model, params = integer(build, params, state, inputs)

Products with weights are quantised, those of convolutions, linear and recurrent layers alike; norms and what lies
between stay float. Weights have a scale for each output, activations one for each row, or a calibrated one. Gradients
are straight-through: meta-training needs `unrolled()`, and `mixed_mode()` and `implicit()` refuse. Needs the extra
"quant".
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jaxmeta import tree
from jaxmeta.compress.prune import Prunable, is_matrix
from jaxmeta.compress.quantize import encode
from jaxmeta.estimators import asymmetric
from jaxmeta.models.convolution import convolve, padding
from jaxmeta.models.linen import Wrap
from jaxmeta.types import Array, Model, PyTree

STATISTICS = "quant_stats"
_WEIGHTLESS = r"|.*/(attention|itself|memory)"
"""Modules whose own einsums have no weights: that of everything, which pools, and those of attention."""
_RECURRENT = r".*/layer_\d+"
"""Modules whose own products lie inside of a scan, where no statistics can be kept: the scale is always of the row."""
_RANGE = "absmax,2"
"""Twice the mean, over rows and frames, of the largest magnitude: a scale of the mean itself would cut off half."""


def aware(bits: Literal[8, 4] = 8, activations: bool = True, calibrate: bool = False) -> Wrap:
    """What makes a network compute with rounded weights and activations, in float: for training, and for calibration.

    Args:
      bits: of weights.
      activations: whether what is multiplied with weights is rounded to 8 bits too; else weights alone.
      calibrate: whether scales of activations come from running statistics, which the state then holds, rather than
        from each row.
    Returns:
      For the argument `wrap` of a model.
    Raises:
      ValueError: other bits, or calibration without activations.
      ImportError: qwix is missing.
    """
    if bits not in (8, 4):
        raise ValueError(f"bits must be 8 or 4, got {bits}.")
    if calibrate and not activations:
        raise ValueError("calibrate=True needs activations=True; without it there is nothing to calibrate.")
    qwix = _qwix()

    def rounded(inputs: Array, kernel: Array) -> tuple[Array, Array]:
        return _straight_through(inputs, 8, 0) if activations else inputs, _straight_through(kernel, bits, 3)

    rules = _rules(f"int{bits}", "int8" if activations else None, calibrate or None)
    provider = _convolving(qwix.QtProvider, None if calibrate else rounded)
    return lambda module: qwix.quantize_model(module, provider(rules))


def as_trained(params: PyTree, bits: Literal[8, 4] = 8, chosen: Prunable = is_matrix) -> PyTree:
    """Weights as codes on the very grid that `aware` trains them on, a scale for each output.

    qwix lets the outermost codes reach half a step beyond themselves, where `quantise_params` ends with them.
    Args:
      params: trained weights.
      bits: as in `aware`.
      chosen: (path, leaf) -> whether it is rounded; outputs are its last axis.
    Returns:
      Weights with a `Quantised` in the place of every chosen leaf.
    """

    def rounded(path: tuple, leaf: Array) -> Any:
        if not chosen(tree.leaf_path(path), leaf):
            return leaf
        scale = jnp.abs(leaf).max(tuple(range(leaf.ndim - 1)), keepdims=True) / (2 ** (bits - 1) - 0.5)
        return encode(leaf, jnp.where(scale == 0, 1, scale), jnp.zeros_like(scale), bits)

    return jax.tree_util.tree_map_with_path(rounded, params)


def calibrated(model: Model, params: PyTree, batches: Iterable[PyTree]) -> PyTree:
    """State of a model made by `aware(calibrate=True)`, with the mean range of every activation over batches.

    Args:
      model: the network.
      params: its weights.
      batches: of inputs, such as the recordings of a manifest.
    Raises:
      ValueError: there are no batches, or the model has nothing to calibrate.
    """

    def run(params, state, inputs):
        outputs, state = model.apply(params, state, inputs, jax.random.key(0), True)
        return sum(leaf.sum() for leaf in jax.tree.leaves(outputs)).astype(float), state

    # The statistics come out of a gradient alone: without one, qwix leaves them inside of a custom derivative.
    update, state = jax.jit(lambda state, inputs: jax.grad(run, has_aux=True)(params, state, inputs)[1]), None
    for inputs in batches:
        if state is None:
            state = model.init(jax.random.key(0), inputs)[1]
        state = update(state, inputs)
    if not state or STATISTICS not in state:
        raise ValueError("calibrated needs at least one batch, and a model made with wrap=aware(calibrate=True).")
    return state


def integer(
    build: Callable[..., Model], params: PyTree, state: PyTree, inputs: PyTree
) -> tuple[Model, PyTree]:  # fmt: skip
    """A network that multiplies in int8, and its weights as integers.

    Args:
      build: called as build(wrap=...), the model.
      params: trained weights, with or without `aware`.
      state: of `calibrated`; {} gives every row a scale of its own.
      inputs: any batch of the model's form.
    Returns:
      (model, params); params are no floats that could adapt.
    Raises:
      ImportError: qwix is missing.
    """
    qwix = _qwix()
    rules = _rules("int8", "int8", bool(state))
    model = build(wrap=lambda module: qwix.quantize_model(module, _convolving(qwix.PtqProvider)(rules)))
    form, _ = jax.eval_shape(model.init, jax.random.key(0), inputs)
    statistics = state.get(STATISTICS, {})
    return model, qwix.quantize_params(jax.tree.map(jnp.asarray, params), form, statistics)


def _rules(weights: str, activations: str | None, calibrated: bool | None) -> list:
    """For qwix; the first that fits a module holds."""
    rule = _qwix().QuantizationRule
    types = {"weight_qtype": weights, "act_qtype": activations}
    return [
        rule(module_path=_WEIGHTLESS, op_names=("einsum",)),
        rule(module_path=_RECURRENT, **types),
        rule(
            module_path=".*",
            act_static_scale=calibrated,
            act_batch_axes=(0, 1),
            act_calibration_method=_RANGE if calibrated else "absmax",
            **types,
        ),
    ]


def _convolving(provider: type, rounded: Callable[[Array, Array], tuple[Array, Array]] | None = None) -> type:
    """A provider of qwix that knows this package's convolution for one.

    Args:
      provider: of qwix.
      rounded: what operands of a convolution become, which then is this package's own, for its derivatives are fast.
        None: it is qwix's.
    """

    class Convolving(provider):
        def convolve(self, inputs: Array, kernel: Any, strides: tuple[int, int] = (1, 1)) -> Array:
            if rounded is not None:
                return convolve(*rounded(inputs, kernel), strides)
            (height, width), (rows, columns) = inputs.shape[1:3], kernel.shape[:2]
            around = padding((height, width), (rows, columns), strides)
            return self.conv_general_dilated(
                inputs, kernel, strides, around, dimension_numbers=("NHWC", "HWIO", "NHWC")
            )

        def process_model_inputs(self, model: Any, model_args: Any, model_kwargs: Any) -> tuple:
            asymmetric("a network with rounded weights (wrap=aware(...))")
            return super().process_model_inputs(model, model_args, model_kwargs)

        def get_intercept_map(self) -> dict[str, Callable]:
            return super().get_intercept_map() | {"jaxmeta.models.convolution.convolve": self.convolve}

    return Convolving


def _straight_through(array: Array, bits: int, axis: int) -> Array:
    """Rounded as qwix rounds it, with a scale for each index of an axis; its derivative is 1."""
    qwix = _qwix()
    codes = qwix.quantize(array, f"int{bits}", channelwise_axes=(axis,))
    return array + jax.lax.stop_gradient(qwix.dequantize(codes) - array)


def _qwix() -> Any:
    try:
        import qwix
    except ImportError as error:
        raise ImportError("arithmetic in integers needs qwix: pip install 'jaxmeta[quant]'.") from error
    return qwix
