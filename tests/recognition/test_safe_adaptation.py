"""Adaptation to a voice: the verdict, the folds, and that it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta import Batch, MetaLearner, Ragged
from jaxmeta.data.audio import AudioError, write_audio
from jaxmeta.data.manifest import ManifestError
from jaxmeta.data.vocabulary import build_vocabulary
from jaxmeta.decoding.error_rates import Edits, error_rate
from jaxmeta.recognition.adaptation import LOSS, METHODS, fine_tuning, is_norm_or_bias, starting_point
from jaxmeta.recognition.safe_adaptation import adapt_to_voice, cross_validate, judge
from jaxmeta.recognition.voice import read_voice
from tests.recognition.conftest import write_voice


def edits(errors):
    zero = np.zeros(len(errors), int)
    return Edits(np.asarray(errors), zero, zero, np.full(len(errors), 10))


def test_the_verdict_is_for_adaptation_only_where_the_whole_interval_is():
    assert judge(edits([5, 6, 4, 5, 6, 5]), edits([1, 2, 0, 1, 2, 1])).adopted
    assert not judge(edits([5, 6, 4, 5, 6, 5]), edits([5, 1, 6, 5, 7, 5])).adopted
    assert not judge(edits([1, 2, 0, 1, 2, 1]), edits([5, 6, 4, 5, 6, 5])).adopted


def counting():
    """A learner that writes as many letters as it was adapted to utterances."""

    def adapt(params, state, support, key):
        return support.weight.sum(), {}

    def predict(params, state, fast, inputs, key, train):
        frames = inputs.values.shape[1]
        letter = (jnp.arange(frames) % 2 == 0) & (jnp.arange(frames) < 2 * fast)
        logits = jnp.stack([1.0 - letter, letter.astype(float)], -1)
        return Ragged(jnp.broadcast_to(logits, (len(inputs.values), frames, 2)), inputs.lengths), state

    return MetaLearner(None, adapt, predict, None)


def test_every_utterance_is_recognised_by_what_was_adapted_to_the_other_folds():
    rows = 6
    inputs = Ragged(jnp.zeros((rows, 20, 1)), jnp.full(rows, 20, jnp.int32))
    batch = Batch(inputs, None, jnp.ones(rows))
    verdict = cross_validate(counting(), {}, batch, ["aaaa"] * rows, build_vocabulary(["a"]), folds=3)
    # Two thirds of six utterances leave four letters, all right; no adaptation leaves none.
    assert error_rate(verdict.after) == 0 and error_rate(verdict.before) == 100
    verdict = cross_validate(counting(), {}, batch, ["aaaaa"] * rows, build_vocabulary(["a"]), folds=6)
    assert error_rate(verdict.after) == 0
    with pytest.raises(ValueError, match="folds must lie between 2 and the number of recordings, 6, got 7"):
        cross_validate(counting(), {}, batch, ["a"] * rows, build_vocabulary(["a"]), folds=7)


def test_a_voice_whose_letters_are_tones_is_learnt_and_the_gain_is_found(recogniser, voice_folder):
    voice = read_voice(recogniser, voice_folder)
    result = adapt_to_voice(recogniser, voice, folds=2, always=True)
    loss = jax.jit(lambda params: _loss(recogniser.model, params, voice.batch))
    assert loss(result.adapted.params) < 0.7 * loss(recogniser.params)
    actual = result.summary()
    assert (
        actual["recordings"] == 4
        and actual["adapted"]
        and actual["change"] == pytest.approx(actual["cer_after"] - actual["cer_before"])
    )
    assert f"{actual['cer_before']:.1f} %" in str(result)


def _loss(model, params, batch):
    outputs, _ = model.apply(params, {}, batch.inputs, jax.random.key(0), False)
    return LOSS(outputs, batch.targets).mean()


@pytest.mark.parametrize("method", METHODS)
def test_what_adapts_is_what_the_method_says(recogniser, voice_folder, method):
    batch = read_voice(recogniser, voice_folder).batch
    params = starting_point(method, recogniser.params, jax.random.key(0))
    adapt = fine_tuning(recogniser.model, method, 0.1, 1).adapt
    fast, _ = jax.eval_shape(adapt, params, {}, batch, jax.random.key(0))
    paths = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in
             jax.tree_util.tree_leaves_with_path(fast)]  # fmt: skip
    everything = len(jax.tree.leaves(recogniser.params))
    expected = {
        "all": lambda: len(paths) == everything,
        "head": lambda: sorted(paths) == ["head/bias", "head/kernel"],
        "norms": lambda: 0 < len(paths) < everything and all(map(is_norm_or_bias, paths)),
        "low_rank": lambda: all(path.startswith("adapters/") for path in paths),
    }
    assert expected[method]()


def test_an_unknown_method_is_refused(recogniser):
    with pytest.raises(ValueError, match="method must be one of all, head, norms, low_rank, got 'some'"):
        fine_tuning(recogniser.model, "some", 0.1, 1)


def test_copies_of_a_recording_stay_in_one_fold_and_are_resampled_together():
    rows = 6
    inputs = Ragged(jnp.zeros((rows, 20, 1)), jnp.full(rows, 20, jnp.int32))
    batch = Batch(inputs, None, jnp.ones(rows))
    original = [0, 0, 0, 3, 3, 5]
    # Without the three copies of the first recording three utterances are left, and so on.
    others = ["a" * (rows - original.count(first)) for first in original]
    verdict = cross_validate(counting(), {}, batch, others, build_vocabulary(["a"]), folds=3, original=original)
    assert error_rate(verdict.after) == 0
    with pytest.raises(ValueError, match="number of recordings, 3, got 4"):
        cross_validate(counting(), {}, batch, others, build_vocabulary(["a"]), folds=4, original=original)
    # Four copies of two utterances are no more certain than the two.
    once = judge(edits([5, 6]), edits([1, 7]))
    again = judge(edits([5, 6] * 4), edits([1, 7] * 4), original=[0, 1] * 4)
    assert (again.change.low, again.change.high) == pytest.approx((once.change.low, once.change.high))


def test_copies_are_named_and_silence_is_refused(recogniser, tmp_path):
    folder = write_voice(tmp_path / "copies", ["ab", "ba", "ab"])
    (folder / "audio" / "2.wav").write_bytes((folder / "audio" / "0.wav").read_bytes())
    voice = read_voice(recogniser, folder)
    assert voice.original == [0, 1, 0]
    (remark,) = voice.remarks
    assert "metadata.csv, row 4: the same recording as that of" in remark and "row 2" in remark
    (folder / "audio" / "1.wav").write_bytes((folder / "audio" / "0.wav").read_bytes())
    with pytest.raises(ManifestError, match="its 3 rows are one recording"):
        read_voice(recogniser, folder)
    write_audio(folder / "audio" / "1.wav", np.zeros(16_000, np.float32), 16_000)
    with pytest.raises(AudioError, match=r"row 3: .*1.wav: is silent but for 0.00 s, and 0.1 s of speech are needed"):
        read_voice(recogniser, folder)
