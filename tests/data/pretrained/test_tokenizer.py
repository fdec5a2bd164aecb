"""Tokens of pretrained networks, from a small tokenizer.json."""

import numpy as np
import pytest

from jaxmeta.data.pretrained.tokenizer import load_tokenizer
from tests.data.pretrained.small_tokenizer import write

pytest.importorskip("tokenizers", reason='needs the extra "pretrained"')


def test_text_becomes_tokens_and_text_again_without_those_that_are_special(tmp_path):
    write(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    tokens = tokenizer.encode("hello world")
    assert tokens.dtype == np.int32 and tokens.tolist() == [1, 30] and tokenizer.size == 11
    assert tokenizer.decode([3, *tokens, 2]) == "hello world" and tokenizer.end == 2


def test_prompts_name_the_language_where_the_network_knows_many(tmp_path):
    write(tmp_path)
    assert load_tokenizer(tmp_path).whisper_prompt("de") == [3, 5, 6, 7]
    assert load_tokenizer(tmp_path).whisper_prompt("de", "translate") == [3, 5, 9, 7]
    with pytest.raises(ValueError, match=r"no token '<\|xx\|>'; is the folder"):
        load_tokenizer(tmp_path).whisper_prompt("xx")
    write(tmp_path, end=50256)
    assert load_tokenizer(tmp_path).whisper_prompt() == [50257, 50261]
    for language, task in (("de", "transcribe"), ("en", "translate")):
        with pytest.raises(ValueError, match=f"knows English only, got language='{language}', task='{task}'"):
            load_tokenizer(tmp_path).whisper_prompt(language, task)


def test_what_is_no_tokenizer_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_tokenizer(tmp_path)
    for content, message in (("{", "is no JSON"), ("{}", "has no model of tokens")):
        (tmp_path / "tokenizer.json").write_text(content)
        with pytest.raises(ValueError, match=message):
            load_tokenizer(tmp_path)
