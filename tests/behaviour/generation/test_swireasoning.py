"""Token for token what the paper's text gives, on small random models; batches and caches change none."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from parentage.behaviour.generation.swireasoning import Trace, swireasoning  # noqa: E402
from parentage.behaviour.generation.switching import LATENT, Marks, Settings  # noqa: E402
from tests.behaviour.generation.reference import reference  # noqa: E402

VOCABULARY = 97
MARKS = Marks(begin=3, end=4, conclude=(4,), answer=(4, 9, 10))
NEW = 60


def _llama() -> Any:
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        initializer_range=0.3,
    )
    return transformers.LlamaForCausalLM(config)


def _qwen() -> Any:
    config = transformers.Qwen3_5MoeTextConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        linear_num_value_heads=4,
        linear_num_key_heads=2,
        linear_key_head_dim=16,
        linear_value_head_dim=16,
        moe_intermediate_size=16,
        shared_expert_intermediate_size=16,
        num_experts=4,
        num_experts_per_tok=2,
        pad_token_id=0,
        eos_token_id=2,
        initializer_range=0.1,
    )
    # Grouped products of experts know no float64.
    config._experts_implementation = "eager"
    return transformers.Qwen3_5MoeForCausalLM(config)


MODELS = {"llama": _llama, "qwen3.5-moe": _qwen}


def _model(kind: str, seed: int) -> Any:
    torch.manual_seed(seed)
    return MODELS[kind]().eval().double()


def _generated(model: Any, prompts: list[list[int]], settings: Settings, **more: Any) -> list[list[int]]:
    width = max(len(p) for p in prompts)
    ids = torch.tensor([[0] * (width - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    made = model.generate(
        ids,
        attention_mask=mask,
        max_new_tokens=NEW,
        do_sample=False,
        custom_generate=swireasoning(settings, MARKS, **more),
    )
    return [_until_stop(row[width:].tolist()) for row in made]


def _until_stop(tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(2) + 1] if 2 in tokens else tokens


def _expected(model: Any, prompt: list[int], settings: Settings, *, cached: bool) -> list[int]:
    return reference(
        model,
        prompt,
        NEW,
        begin=MARKS.begin,
        end=MARKS.end,
        alpha=settings.alpha,
        beta=settings.beta,
        window=settings.window,
        cap=settings.most_switches,
        conclude=list(MARKS.conclude),
        answer=list(MARKS.answer),
        budget=settings.answer_tokens,
        stop=2,
        cached=cached,
    )


@pytest.mark.parametrize("kind", list(MODELS))
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "settings",
    [Settings(), Settings(alpha=0.6, window=4), Settings(window=2, most_switches=2, answer_tokens=8)],
    ids=["as-published", "short-window", "capped"],
)
def test_greedy_tokens_are_those_of_the_reference_loop(kind: str, seed: int, settings: Settings) -> None:
    model, prompt = _model(kind, seed), [1, 5 + seed, 17, 33]
    expected = _expected(model, prompt, settings, cached=kind != "llama")
    assert _generated(model, [prompt], settings) == [expected]


def test_the_models_switch_in_these_tests_and_latent_inputs_change_what_is_said() -> None:
    trace, model = Trace(), _model("llama", 0)
    settings = Settings(window=2)
    found = _generated(model, [[1, 5, 17, 33]], settings, trace=trace)
    (steps,) = trace.sequences
    assert [s.token for s in steps] == found[0]
    assert sum(s.switched for s in steps) >= 3
    assert {s.mode for s in steps} == {LATENT, "explicit"}
    plain = model.generate(torch.tensor([[1, 5, 17, 33]]), max_new_tokens=NEW, do_sample=False)
    assert _until_stop(plain[0, 4:].tolist()) != found[0]


@pytest.mark.parametrize("kind", list(MODELS))
def test_a_padded_batch_says_what_each_prompt_says_alone(kind: str) -> None:
    model, settings = _model(kind, 7), Settings(window=3, most_switches=3)
    prompts = [[1, 5, 17, 33], [1, 60], [1, 8, 9, 10, 11, 12]]
    alone = [_generated(model, [p], settings)[0] for p in prompts]
    together = _generated(model, prompts, settings)
    # The mixture's router and its linear attention compute in float32, and a batch rounds otherwise.
    same = NEW if kind == "llama" else 12
    assert [row[:same] for row in together] == [row[:same] for row in alone]


def test_without_a_switch_below_the_first_entropy_nothing_but_latent_thinking_is_traced() -> None:
    trace = Trace()
    _generated(_model("llama", 1), [[1, 2, 3]], Settings(window=NEW), trace=trace)
    modes = [s.mode for s in trace.sequences[0]]
    first = modes.index("explicit") if "explicit" in modes else len(modes)
    assert modes[:first] == [LATENT] * first
    assert all(m == "explicit" for m in modes[first:])
