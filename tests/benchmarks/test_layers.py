"""The benchmark of single layers: the operations that it counts, and what it times."""

import jax
import numpy as np
import pytest

from benchmarks.layers import rates
from benchmarks.workloads import make


@pytest.mark.parametrize("network", ["conv4", "words"])
def test_layers_are_those_of_the_workloads(network):
    products = make(network, 1, 1).products[1:4]  # The first layer has one channel, and the head is no convolution.
    layers = [layer for layer in rates.layers() if layer.name.startswith(network)]
    counted = [layer.operations / (2 * layer.examples) for layer in layers]
    assert counted == [product for product in products for _ in ("support", "query")]


def test_a_rate_is_operations_of_all_tasks_over_seconds():
    layer = rates.Layer("a layer", (8, 6), (2, 1), 3)  # 4 x 6 places.
    row = rates.row(layer, 5, "outputs", "", 0.5, 1e9)
    assert row["milliseconds"] == 500
    assert row["gflop/s"] == pytest.approx(5 * 2 * 3 * 24 * 9 * 64**2 / 0.5 / 1e9)
    assert row["of product"] == pytest.approx(row["gflop/s"])


@pytest.mark.slow
def test_the_three_roles_are_a_convolution_and_its_two_derivatives():
    """The sum over outputs, weighted by cotangents, is the same number in each of the three."""
    layer = rates.Layer("a layer", (4, 5), (2, 1), 2)
    results = {role: run() for role, run in rates.programs(layer, 2, "", 0).items()}
    assert {role: value.shape for role, value in results.items()} == {
        "outputs": (2, 2, 2, 5, 64), "inputs' gradient": (2, 2, 4, 5, 64), "kernels' gradient": (2, 3, 3, 64, 64),
    }  # fmt: skip
    keys = jax.random.split(jax.random.key(0), 3)
    given = {
        "inputs' gradient": jax.random.normal(keys[0], (2, 2, 4, 5, 64)),
        "kernels' gradient": jax.random.normal(keys[1], (2, 3, 3, 64, 64)),
        "outputs": jax.random.normal(keys[2], (2, 2, 2, 5, 64)),
    }
    forms = [float(np.vdot(np.asarray(results[role], float), np.asarray(given[role], float))) for role in given]
    np.testing.assert_allclose(forms, forms[0], rtol=1e-4)
