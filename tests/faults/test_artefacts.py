"""Five hundred damaged artefacts: each is refused by one kind of error, or is as it was."""

import collections

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta import Model
from jaxmeta.compress.artefact import ArtefactError, load
from jaxmeta.compress.export import export_model
from tests.faults.test_sound import damaged

pytest.importorskip("flatbuffers", reason='jax.export needs the extra "export"')
pytestmark = pytest.mark.slow
TRIES = 500


def test_no_damage_changes_what_an_artefact_says(tmp_path):
    kernel = {"kernel": jnp.arange(16.0).reshape(8, 2)}
    model = Model(
        lambda key, inputs: (kernel, {}), lambda params, state, inputs, *_: (inputs @ params["kernel"], state)
    )
    path = export_model(tmp_path / "a.zip", model, kernel, {}, jnp.ones((3, 8)), platforms=("cpu",))
    inputs, whole = np.random.default_rng(1).normal(size=(4, 8)).astype(np.float32), path.read_bytes()
    expected, rng, counts = load(path).predict((), [inputs])[0], np.random.default_rng(0), collections.Counter()
    for _ in range(TRIES):
        path.write_bytes(damaged(whole, rng))
        try:
            outputs = load(path).predict((), [inputs])[0]
        except ArtefactError:
            counts["detected"] += 1
        else:
            counts["whole" if np.array_equal(outputs, expected) else "lost"] += 1
    print(f"\nartefacts: {TRIES} tries, {counts['detected']} detected, {counts['whole']} whole, {counts['lost']} lost")
    assert counts["lost"] == 0 and counts["detected"] > TRIES // 2
