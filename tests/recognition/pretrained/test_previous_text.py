"""Text that a Whisper takes for what was said before."""

from dataclasses import replace

import numpy as np
import pytest

from jaxmeta.recognition.pretrained.previous_text import after_text
from jaxmeta.recognition.pretrained.whisper import Habits, load_whisper
from tests.models.pretrained.checkpoints import log_mels
from tests.programs import compiled


def test_the_text_stands_before_the_prompt(whisper_folder):
    # <|startofprev|> is 8 there, "hello" 1 and "world" 30.
    assert after_text(load_whisper(whisper_folder), "hello  world").before == (8, 1, 30)


def test_a_text_that_is_empty_or_too_long_is_refused_and_so_is_a_whisper_that_was_trained_without(whisper_folder):
    recogniser = load_whisper(whisper_folder)
    with pytest.raises(ValueError, match="takes no text before"):
        after_text(replace(recogniser, habits=Habits(silence=1.0)), "hello")
    with pytest.raises(ValueError, match="the text before is empty"):
        after_text(recogniser, " ")
    most = recogniser.config.max_target_positions // 2 - 1
    assert len(after_text(recogniser, "hello " * most).before) == most + 1
    with pytest.raises(ValueError, match=f"has {most + 1} tokens, and this Whisper reads {most}; shorten it"):
        after_text(recogniser, "hello " * (most + 1))


@pytest.mark.slow
def test_the_first_token_is_the_likeliest_after_the_text_and_the_prompt(whisper_folder):
    recogniser = load_whisper(whisper_folder)
    memory = recogniser.encode(log_mels([20], recogniser.config.num_mel_bins))
    (written,) = after_text(recogniser, "hello world").tokens(memory, "de", length=1)
    prefix = [8, 1, 30, *recogniser.tokenizer.whisper_prompt("de")]
    logits = compiled(recogniser.network.decode)(recogniser.params, memory, np.array([prefix]))
    assert written == [int(np.argmax(logits[0, -1]))]
