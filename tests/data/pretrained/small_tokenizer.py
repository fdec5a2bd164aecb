"""A tokenizer.json of three words and the special tokens of Whisper."""

import json

SPECIAL = [
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|transcribe|>", "<|notimestamps|>",
    "<|startofprev|>", "<|translate|>",
]  # fmt: skip


def write(folder, end=2):
    words = {"<unk>": 0, "hello": 1, "world": 30}
    added = [
        {"id": end + index, "content": name, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
        for index, name in enumerate(SPECIAL)
    ]  # fmt: skip
    vocabulary = words | {each["content"]: each["id"] for each in added}
    content = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(content))
