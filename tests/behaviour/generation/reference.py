"""SwiReasoning as the paper's text has it, one sequence: everything is computed anew each step.

``cached``: one input a step instead, for models that compute parts in float32 whatever they are stored in:
there an expected embedding carries the rounding of every way of computing on into the next step.
"""

from __future__ import annotations

from typing import Any

import torch


def reference(
    model: Any,
    prompt: list[int],
    new: int,
    *,
    begin: int,
    end: int,
    alpha: float,
    beta: float,
    window: int,
    cap: int | None,
    conclude: list[int],
    answer: list[int],
    budget: int,
    stop: int | None,
    cached: bool,
) -> list[int]:
    """Greedy tokens after the prompt."""
    table = model.get_input_embeddings().weight
    inputs = table[torch.tensor(prompt)]
    written: list[int] = []
    latent, since, seen_end, count = True, 0, False, 0
    queue: list[int] = []
    remaining: int | None = None
    h_ref = 0.0
    given, cache = inputs, None
    for t in range(new):
        with torch.no_grad():
            made = model(inputs_embeds=given[None], use_cache=cached, cache=cache)
        logits = made.logits[0, -1].float()
        p = torch.softmax(logits, dim=-1)
        h = float(-(p * p.clamp(min=1e-12).log()).sum())
        choice = int(torch.argmax(logits))
        seen_end = seen_end or choice == end
        token = queue.pop(0) if queue else choice
        written.append(token)
        soft = p.to(table.dtype) @ table
        to_explicit = to_latent = False
        if t == 0:
            h_ref = h
        else:
            since += 1
            to_explicit = latent and h < h_ref
            to_latent = not latent and h > h_ref and since >= window and not seen_end
        if to_explicit or to_latent:
            latent, since, h_ref = to_latent, 0, h
        following = soft if latent and not seen_end else table[token]
        if to_latent:
            a = alpha + (1 - alpha) * t / new
            following = a * soft + (1 - a) * table[begin]
        if to_explicit:
            b = beta + (1 - beta) * t / new
            following = b * soft + (1 - b) * table[end]
            count += 1
            if cap is not None and remaining is None:
                if count > 2 * cap:
                    queue, remaining = list(answer), budget
                elif count >= cap:
                    queue = list(conclude)
        inputs = torch.cat([inputs, following[None]])
        given, cache = (following[None], made.cache) if cached else (inputs, None)
        if remaining is not None:
            remaining -= 1
            if remaining <= 0:
                break
        if token == stop:
            break
    return written
