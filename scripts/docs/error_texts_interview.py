"""The words of ``docs/errors.md`` for chat templates and interviews."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["INTERVIEW"]

_OTHER_TEMPLATE = (
    "Read the template before trusting the model's runtime with it; name another with `--template`."
)

INTERVIEW: Mapping[str, tuple[str, str]] = {
    "generate-no-marks": (
        "SwiReasoning switches where a model thinks, between `<think>` and `</think>`, and this "
        "tokenizer has no single tokens for them.",
        "Decode without `--swireasoning`.",
    ),
    "generate-prompt": (
        "There is no prompt, it is too long, or the model's chat template does not render it.",
        "Give `--prompt TEXT`, or `--prompt -` and standard input; `--raw` uses no template.",
    ),
    "generate-settings": (
        "A setting of SwiReasoning makes no sense, or was given without `--swireasoning`.",
        "See [generate.md](generate.md) for what each setting does.",
    ),
    "generate-target": (
        "Decoding is changed where the model runs; an endpoint or a GGUF file does not let us.",
        "Name the folder of a model in safetensors.",
    ),
    "template-missing": (
        "No chat template lies in the place that was named.",
        "Name a folder with `tokenizer_config.json` or `chat_template.jinja`, a GGUF file, or the "
        "template itself.",
    ),
    "template-malformed": (
        "A tokenizer's config is no JSON object, or its chat template is no text, or larger than any is.",
        "Look at the file; fetch it again.",
    ),
    "template-syntax": (
        "A chat template is not Jinja.",
        "Fetch it again, or name another with `--template`.",
    ),
    "template-forbidden": (
        "A chat template reaches for what no template needs: attributes of Python's own, changes to what "
        "it is given, formats of its own making. It was not rendered any further.",
        _OTHER_TEMPLATE,
    ),
    "template-bounds": (
        "A chat template loops, recurses or grows beyond what any template needs. Rendering was stopped.",
        _OTHER_TEMPLATE,
    ),
    "template-refuses": (
        "A chat template refuses one plain question from a user, by its own `raise_exception`.",
        "Name the template that the model is used with by `--template`.",
    ),
    "template-fails": ("A chat template fails while it is rendered.", _OTHER_TEMPLATE),
    "answers-cut": (
        "A file of answers ends within a line: it was cut short.",
        "Fetch it again, or go on with the interview that wrote it.",
    ),
    "answers-other-plan": (
        "The folder holds answers of another plan: other questions, seed, model, address or template.",
        "Name another folder with `--out`, or ask as before.",
    ),
    "answers-twice": ("A file of answers has one answer twice; it was altered.", "Fetch it again."),
    "endpoint-address": (
        "An endpoint's address is no http(s) address of an API, or holds a name, password or query.",
        "Write it like `http://localhost:8080/v1`; a key goes into the environment (`--api-key-env`).",
    ),
    "endpoint-busy": (
        "An endpoint said each time that it is busy or that too much was asked, or asked for more "
        "patience than there is.",
        "Lower `--concurrency`, raise `--attempts`, or come back later: answers that came are kept.",
    ),
    "endpoint-cannot": (
        "An endpoint refused a request that every such interface takes.",
        "Read what it said; check the address and the model's name.",
    ),
    "endpoint-no-model": (
        "An endpoint serves several models, and none was named.",
        "Name one with `--model`.",
    ),
    "endpoint-not-api": (
        "What answered is no such interface: a page, or JSON of another form, or neither "
        "chat nor completions.",
        "Check the address: it usually ends in `/v1`.",
    ),
    "endpoint-refuses": (
        "An endpoint refuses who asks (status 401 or 403).",
        "Put the key into the environment variable that `--api-key-env` names.",
    ),
    "endpoint-timeout": (
        "An endpoint gave no whole answer in time.",
        "Raise `--timeout`, lower `--max-tokens`.",
    ),
    "endpoint-too-large": ("An endpoint's answer was larger than any is.", "Check what is served there."),
    "endpoint-unreachable": (
        "No connection to an endpoint could be made or kept.",
        "Check address and network.",
    ),
    "interview-incomplete": (
        "Not every answer that was planned came, or a condition that was asked for is not allowed. The "
        "report says which; it was written.",
        "Run it again with the same `--out`: only what is missing is asked.",
    ),
    "interview-not-comparable": (
        "Answers of the suspect and of its panel are to different questions, or sampled differently.",
        "Interview them again with equal questions, temperature and length.",
    ),
    "interview-target": (
        "What was named cannot be asked.",
        "Name an address, a GGUF file, a folder of a model, or a file of answers.",
    ),
    "line-not-one": (
        "The two models of `--line` have different tensors: there is no line between them.",
        "Name two models of one architecture and vocabulary.",
    ),
    "line-served": (
        "`--line-served` names somebody who is not of the panel, or stands without `--line`.",
        "Name the panel's labels, `panel-1` being the first `--panel`, in the order of `--line`.",
    ),
    "questions-malformed": (
        "A file of questions is not one.",
        "See its form in [interview.md](interview.md#questions-of-your-own).",
    ),
    "questions-none": (
        "No question is left in the languages that were asked for.",
        "Name one that there is.",
    ),
    "recital-source": (
        "The text that may be recited is none, too large, or not UTF-8.",
        "Name a published text of at most 256 KiB, or a file of answers.",
    ),
    "runtime-load": (
        "A local runtime could not load the model: the file or folder is damaged, of a kind that the "
        "runtime does not know, or too large for the memory.",
        "Check it with `parentage inspect`; or serve it elsewhere and name the address.",
    ),
    "runtime-missing": (
        "The model is to be run here, and what runs it is not installed.",
        "`pip install 'parentage[llama]'` for GGUF files, `'parentage[transformers]'` for folders; or "
        "serve the model and name its address.",
    ),
    "usage-condition": ("A condition has no such name.", "One of shipped, empty-system, stripped, raw."),
    "usage-price": ("A price is not two numbers.", "`--price 0.5,1.5`: of a million tokens in, and out."),
}
