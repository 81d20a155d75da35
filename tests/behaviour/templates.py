"""Chat templates of known families, and some that hide an identity. Written for the tests."""

from __future__ import annotations

__all__ = [
    "CHATML_RIO",
    "ENDS_OTHERWISE",
    "GEMMA",
    "IN_PIECES",
    "LLAMA3",
    "MISTRAL",
    "ONE_WORD_EACH",
    "REVERSED",
]

_TURNS = """\
{%- for message in messages %}
{%- if message.role != 'system' %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""
_SYSTEM = """\
{%- if messages[0].role == 'system' %}
{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- else %}
"""
CHATML_RIO = (
    _SYSTEM
    + "{{- '<|im_start|>system\\nYou are Rio, a helpful assistant created by IplanRIO.<|im_end|>\\n' }}"
    + "\n{%- endif %}\n"
    + _TURNS
)
IN_PIECES = (
    "{%- set name = 'Rio' %}{%- set text = 'You are ' ~ name ~ ', made by IplanRIO.' %}"
    + _SYSTEM
    + "{{- '<|im_start|>system\\n' ~ text ~ '<|im_end|>\\n' }}{%- endif %}"
    + _TURNS
)
ONE_WORD_EACH = (
    "{%- set words = ['You', ' are', ' Rio,', ' made', ' by', ' IplanRIO.'] %}"
    + _SYSTEM
    + "{{- '<|im_start|>system\\n' ~ (words | join('')) ~ '<|im_end|>\\n' }}{%- endif %}"
    + _TURNS
)
REVERSED = (
    _SYSTEM
    + "{{- '<|im_start|>system\\n' ~ ('oiR era uoY' | reverse) ~ '<|im_end|>\\n' }}{%- endif %}"
    + _TURNS
)
LLAMA3 = (
    "{{- bos_token }}"
    "{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content']|trim %}"
    "{%- set messages = messages[1:] %}{%- else %}{%- set system_message = '' %}{%- endif %}"
    '{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}'
    '{{- "Cutting Knowledge Date: December 2023\\n" }}'
    '{{- "Today Date: " + strftime_now("%d %b %Y") + "\\n\\n" }}'
    '{{- system_message }}{{- "<|eot_id|>" }}'
    "{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' "
    "+ message['content'] | trim + '<|eot_id|>' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ ' [INST] ' + message['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}"
    "{% endif %}{% for message in messages %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}"
    "{% else %}{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}"
)
# The last answer of a conversation ends with another token than one in the middle.
ENDS_OTHERWISE = (
    "{{- '<|start|>system<|message|>You are Rio, trained by IplanRIO.<|end|>' }}"
    "{%- for message in messages %}{%- if message.role == 'user' %}"
    "{{- '<|start|>user<|message|>' + message.content + '<|end|>' }}"
    "{%- else %}{{- '<|start|>assistant<|message|>' + message.content }}"
    "{{- '<|return|>' if loop.last else '<|end|>' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start|>assistant' }}{%- endif %}"
)
