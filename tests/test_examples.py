"""The examples of docstrings run as they stand.

All of them know `np`, `jax`, `optax`, `tree`, `cross_entropy`, the public names of jaxmeta, and a small task. `model`
has the weights body/kernel and head/kernel, `encoder` gives embeddings [N, 2], and `support` holds two examples of each
of three classes.
"""

import doctest
import importlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxmeta
from jaxmeta import Batch, Model, tree
from jaxmeta.losses import cross_entropy

PACKAGE = Path(jaxmeta.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if ">>>" in path.read_text(encoding="utf-8")
)


def linear(params, inputs):
    return inputs @ params["body"]["kernel"]


def shared():
    body, head = {"kernel": np.ones((4, 2), np.float32)}, {"kernel": np.zeros((2, 3), np.float32)}
    encoder = Model(lambda key, inputs: ({"body": body}, {}), lambda p, s, x, key, train: (linear(p, x), s))
    model = Model(
        lambda key, inputs: ({"body": body, "head": head}, {}),
        lambda p, s, x, key, train: (linear(p, x) @ p["head"]["kernel"], s),
    )
    support = Batch(np.ones((6, 4), np.float32), np.array([0, 0, 1, 1, 2, 2]), np.ones(6, np.float32))
    task = {"model": model, "encoder": encoder, "support": support, "key": jax.random.key(0)}
    names = {name: getattr(jaxmeta, name) for name in jaxmeta.__all__}
    return (
        names | task | {"np": np, "jnp": jnp, "jax": jax, "optax": optax, "tree": tree, "cross_entropy": cross_entropy}
    )


def examples(module):
    found = doctest.DocTestFinder(exclude_empty=True).find(module, globs=shared() | vars(module))
    return [each for each in found if each.examples]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_give_what_they_say(name):
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.FAIL_FAST)
    output: list[str] = []
    for each in examples(importlib.import_module(name)):
        runner.run(each, out=output.append)
    assert not runner.failures, "".join(output)


def test_many_functions_have_an_example():
    assert sum(len(examples(importlib.import_module(name))) for name in MODULES) >= 70
