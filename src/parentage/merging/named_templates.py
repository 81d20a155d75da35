"""Chat templates that a recipe may ask for by name, as mergekit's recipes do.

Each is the format as its maker publishes it. mergekit 0.1.5 carries templates of the same names: its
``chatml`` and ``mistral`` give the same text; its ``llama3`` ends each turn with a line break that Meta's
format has not, its ``exaone`` puts the template's own indentation into the prompt, and its ``alpaca``
leaves no blank line before the last response (docs/merging.md).

Sources: OpenAI's chatml.md; Meta's "Llama 3 Model Cards and Prompt formats"; ``tokenizer_config.json`` of
Mistral-7B-Instruct-v0.2; the README of stanford_alpaca; the one of EXAONE-3.0-7.8B-Instruct.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["NAMED"]

_CHATML = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)
_LLAMA3 = (
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' -}}"
    "{{- message.content | trim + '<|eot_id|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}"
    "{%- endif -%}"
)
_MISTRAL = (
    "{%- set first = messages[0].content + '\\n\\n' if messages[0].role == 'system' else '' -%}"
    "{%- set turns = messages[1:] if first else messages -%}"
    "{{- bos_token -}}"
    "{%- for message in turns -%}"
    "{%- if message.role != ('user' if loop.index0 is even else 'assistant') -%}"
    "{{- raise_exception('after a system message, user and assistant must take turns') -}}"
    "{%- elif message.role == 'user' -%}"
    "{{- ' [INST] ' + (first if loop.first else '') + message.content + ' [/INST]' -}}"
    "{%- else -%}"
    "{{- ' ' + message.content + eos_token -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
)
_ALPACA = (
    "{%- set names = {'user': 'Instruction', 'user_context': 'Input', 'assistant': 'Response'} -%}"
    "{%- for message in messages -%}"
    "{%- if not loop.first -%}{{- '\\n\\n' -}}{%- endif -%}"
    "{%- if message.role in names -%}{{- '### ' + names[message.role] + ':\\n' -}}{%- endif -%}"
    "{{- message.content | trim -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '\\n\\n### Response:\\n' -}}{%- endif -%}"
)
_EXAONE = (
    "{%- if messages[0].role != 'system' -%}{{- '[|system|][|endofturn|]\\n' -}}{%- endif -%}"
    "{%- for message in messages -%}"
    "{{- '[|' + message.role + '|]' + message.content -}}"
    "{{- '\\n' if message.role == 'user' else '[|endofturn|]\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '[|assistant|]' -}}{%- endif -%}"
)
NAMED: Final[Mapping[str, str]] = {
    "alpaca": _ALPACA,
    "chatml": _CHATML,
    "exaone": _EXAONE,
    "llama3": _LLAMA3,
    "mistral": _MISTRAL,
}
