"""The text that came before a recording, which a Whisper reads before it writes: names, or a style of writing."""

from dataclasses import replace

from jaxmeta.recognition.pretrained.whisper import PUBLIC, WhisperRecogniser


def after_text(recogniser: WhisperRecogniser, text: str) -> WhisperRecogniser:
    """The recogniser as if a text had come right before each recording, as Whisper's `initial_prompt` does.

    Args:
      recogniser: stays as it is.
      text: of at most half as many tokens as the decoder has positions for, less one: 223 for public weights.
    Raises:
      ValueError: an empty text, or one that is too long; a Whisper that was trained on the speech of many people, and
        has forgotten what such a text is.
    """
    if recogniser.habits != PUBLIC:
        raise ValueError("a Whisper trained on speech of many takes no text before (--prompt); favour words (--words).")
    tokenizer, most = recogniser.tokenizer, recogniser.config.max_target_positions // 2 - 1
    if not text.strip():
        raise ValueError("the text before is empty; give some words, or leave it out.")
    tokens = tokenizer.encode(f" {' '.join(text.split())}").tolist()
    if len(tokens) > most:
        raise ValueError(f"the text before has {len(tokens)} tokens, and this Whisper reads {most}; shorten it.")
    return replace(recogniser, before=(tokenizer.special("<|startofprev|>"), *tokens))
