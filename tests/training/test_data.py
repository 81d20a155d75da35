"""What is read from a file of training data, without torch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from parentage.training.data import read_examples, read_prompts
from tests.training.tiny import CHATS, write_lines


def test_the_three_forms_are_read_and_blank_lines_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    rows = [CHATS[0], {"prompt": "2+3=", "completion": "5"}, {"text": "olá"}]
    path.write_text("\n\n".join(json.dumps(r) for r in rows) + "\n")
    found = read_examples(path)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [e.line for e in found.examples] == [1, 3, 5]
    chat, pair, text = found.examples
    assert [m["role"] for m in chat.messages] == ["user", "assistant"]
    assert (pair.prompt, pair.completion) == ("2+3=", "5")
    assert (text.prompt, text.completion) == ("", "olá")


def test_prompts_end_with_what_the_user_says(tmp_path: Path) -> None:
    system = {"role": "system", "content": "be brief"}
    rows = [CHATS[0], {"prompt": "hi"}, {"messages": [system, {"role": "user", "content": "yo"}]}]
    found = read_prompts(write_lines(tmp_path / "p.jsonl", rows))
    assert [e.messages[-1] for e in found.examples] == [
        {"role": "user", "content": text} for text in ("who are you?", "hi", "yo")
    ]
    assert found.examples[2].messages[0] == system
