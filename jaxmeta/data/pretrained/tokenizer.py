"""Tokens of pretrained networks: text to numbers and back, by the tokenizer.json of a Hugging Face folder."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

Task = Literal["transcribe", "translate"]
"""What Whisper writes: what is said, or its English."""
_ENGLISH_END = 50256
"""<|endoftext|> of networks that know English only; those of many languages have it at 50257."""


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer of the library `tokenizers`."""

    engine: Any

    @property
    def size(self) -> int:
        """Number of tokens."""
        return self.engine.get_vocab_size()

    def encode(self, text: str) -> np.ndarray:
        """The tokens of a text, int32 [L], with none that are special."""
        return np.array(self.engine.encode(text, add_special_tokens=False).ids, np.int32)

    def decode(self, tokens: Any) -> str:
        """The text of tokens [L], without those that are special."""
        return self.engine.decode([int(token) for token in tokens], skip_special_tokens=True)

    def special(self, name: str) -> int:
        """The number of a token such as "<|en|>". Raises ValueError where there is none."""
        token = self.engine.token_to_id(name)
        if token is None:
            raise ValueError(f"the tokenizer has no token {name!r}; is the folder that of another network?")
        return token

    @property
    def end(self) -> int:
        """The token after the last of a transcript."""
        return self.special("<|endoftext|>")

    def whisper_prompt(self, language: str = "en", task: Task = "transcribe") -> list[int]:
        """What Whisper's transcripts start with: of a language (ISO 639-1 code), without time stamps.

        Raises:
          ValueError: a language or a task that the network does not know.
        """
        if self.end == _ENGLISH_END:
            if language != "en" or task != "transcribe":
                raise ValueError(
                    f"this Whisper knows English only, got language={language!r}, task={task!r}; read one without .en."
                )
            return [self.special("<|startoftranscript|>"), self.special("<|notimestamps|>")]
        names = ("<|startoftranscript|>", f"<|{language}|>", f"<|{task}|>", "<|notimestamps|>")
        return [self.special(name) for name in names]


def load_tokenizer(folder: str | os.PathLike[str]) -> Tokenizer:
    """The tokenizer of a folder with tokenizer.json. Needs the extra "pretrained".

    Raises:
      ValueError: the file is no tokenizer.
      OSError: no such file.
      ImportError: the library `tokenizers` is not installed.
    """
    import tokenizers

    path = Path(folder) / "tokenizer.json"
    text = path.read_text(encoding="utf-8")
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}); fetch the folder again.") from error
    if not isinstance(content, dict) or "model" not in content:
        raise ValueError(f"{path} has no model of tokens; fetch the folder again.")
    return Tokenizer(tokenizers.Tokenizer.from_str(text))
