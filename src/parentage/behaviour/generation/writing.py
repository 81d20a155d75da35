"""A model of a folder writes: ordinary decoding or SwiReasoning, every token kept with its entropy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from parentage import __version__
from parentage.behaviour.generation.swireasoning import Trace, marks_of, swireasoning
from parentage.behaviour.generation.switching import Settings
from parentage.behaviour.opening import FOLDER, spec_of, template_of
from parentage.behaviour.runtimes.loading import load_model
from parentage.behaviour.templates.rendering import render_prompts
from parentage.errors import UsageError
from parentage.records.absence import Absent
from parentage.records.generation import Generation, SwitchSettings, Token, Writing

__all__ = ["Asked", "write"]

ORDINARY: Final = Absent("ordinary decoding: nothing is switched")
# Ids of a prompt; what a template adds included.
MOST_PROMPT: Final = 32_768
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What to write. ``raw``: the prompt is the whole text, no template is used. ``settings``:
    SwiReasoning; None: ordinary decoding. Answer k of ``samples`` has the seed ``seed`` + k."""

    prompt: str
    raw: bool = False
    most_tokens: int = 512
    temperature: float = 0.0
    samples: int = 1
    seed: int = 0
    settings: Settings | None = None


def write(locator: str, asked: Asked, progress: Progress = lambda done, of: None) -> Generation:
    """Load the folder, render the prompt in the sandbox, write.

    Raises ``UsageError`` (``generate-target`` where it is no folder, ``generate-prompt``,
    ``generate-no-marks``), ``TemplateError``, and what ``load_model`` raises.
    """
    spec = spec_of(locator)
    if spec.kind != FOLDER:
        raise UsageError(
            "decoding is changed where the model runs: an endpoint or a GGUF file does not let us",
            code="generate-target",
            where=locator,
            hint="name the folder of a model in safetensors",
        )
    prompt, origin = _prompt(locator, asked)
    model, tokenizer = load_model(locator)
    writer = _Writer(model, tokenizer, asked)
    writings = []
    for k in range(asked.samples):
        progress(k, asked.samples)
        writings.append(writer.write(prompt, asked.seed + k))
    progress(asked.samples, asked.samples)
    return Generation(
        tool=f"parentage {__version__}",
        model=locator,
        prompt=prompt,
        template=origin,
        most_tokens=asked.most_tokens,
        temperature=asked.temperature,
        switching=ORDINARY if asked.settings is None else _recorded(asked.settings),
        writings=tuple(writings),
    )


def _recorded(settings: Settings) -> SwitchSettings:
    most = settings.most_switches
    return SwitchSettings(
        alpha=settings.alpha,
        beta=settings.beta,
        window=settings.window,
        most_switches=Absent("no end is forced") if most is None else most,
        answer_tokens=settings.answer_tokens,
        line_break=settings.line_break,
    )


def _prompt(locator: str, asked: Asked) -> tuple[str, str]:
    if not asked.prompt.strip():
        raise UsageError("there is no prompt", code="generate-prompt", hint="--prompt TEXT, or - for input")
    if asked.raw:
        return asked.prompt, "not used: the prompt is given whole"
    template, why = template_of(spec_of(locator))
    if template is None:
        return asked.prompt, f"not used: {why}"
    (found,) = render_prompts(template, [("shipped", [{"role": "user", "content": asked.prompt}])])
    if isinstance(found, Absent):
        raise UsageError(
            f"the chat template does not render this prompt: {found.reason}",
            code="generate-prompt",
            where=locator,
            hint="--raw gives the prompt as it is",
        )
    return found, "shipped"


class _Writer:
    """One loaded model under one set of options."""

    def __init__(self, model: Any, tokenizer: Any, asked: Asked) -> None:
        self.model, self.tokenizer, self.asked = model, tokenizer, asked
        self.marks = None if asked.settings is None else marks_of(tokenizer)
        self.ends = _ends(model, tokenizer)

    def write(self, prompt: str, seed: int) -> Writing:
        """One answer."""
        import torch

        ids = self.tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
        if not 0 < ids.shape[1] <= MOST_PROMPT:
            raise UsageError(
                f"the prompt has {ids.shape[1]} tokens; 1 to {MOST_PROMPT} are taken",
                code="generate-prompt",
            )
        torch.manual_seed(seed)
        with torch.inference_mode():
            tokens = self._ordinary(ids) if self.marks is None else self._switching(ids)
        text = self.tokenizer.decode([t.id for t in tokens], skip_special_tokens=True)
        return Writing(seed, text, tuple(tokens), bool(tokens) and tokens[-1].id in self.ends)

    def _options(self) -> dict[str, Any]:
        sampled = self.asked.temperature > 0
        options: dict[str, Any] = {
            "max_new_tokens": self.asked.most_tokens,
            "do_sample": sampled,
            # The folder's own settings are not ours to take over: what was asked for is what is done.
            "repetition_penalty": 1.0,
            "pad_token_id": min(self.ends, default=0),
        }
        if sampled:
            options |= {"temperature": self.asked.temperature, "top_k": 0, "top_p": 1.0}
        return options

    def _ordinary(self, ids: Any) -> list[Token]:
        from transformers import LogitsProcessorList

        entropies: list[float] = []

        def heard(_: Any, scores: Any) -> Any:
            logs = scores[0].double().log_softmax(-1)
            entropies.append(float(-(logs.exp() * logs.clamp(min=-1e4)).sum()))
            return scores

        out = self.model.generate(ids, logits_processor=LogitsProcessorList([heard]), **self._options())[
            0, ids.shape[1] :
        ].tolist()
        return [
            Token(one, self._text(one), entropy, "ordinary")
            for one, entropy in zip(out, entropies, strict=True)
        ]

    def _switching(self, ids: Any) -> list[Token]:
        trace = Trace()
        settings, marks = self.asked.settings, self.marks
        if settings is None or marks is None:
            return []
        line_break = None
        if settings.line_break:
            found = self.tokenizer.encode("\n", add_special_tokens=False)
            line_break = found[0] if len(found) == 1 else None
        loop = swireasoning(settings, marks, trace=trace, line_break=line_break)
        self.model.generate(ids, custom_generate=loop, **self._options())
        return [
            Token(s.token, self._text(s.token), s.entropy, s.mode, s.switched, s.forced)
            for s in trace.sequences[0]
        ]

    def _text(self, token: int) -> str:
        return str(self.tokenizer.decode([token]))


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """Ids that end an answer: the folder's generation settings', else the tokenizer's."""
    found = model.generation_config.eos_token_id
    if found is None:
        found = tokenizer.eos_token_id
    return frozenset(found if isinstance(found, list) else [] if found is None else [found])
