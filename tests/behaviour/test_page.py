"""The page of an interview in a headless Chromium: it renders, loads nothing, runs no stranger's script."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.behaviour.conftest import Serve
from tests.behaviour.servers import Persona
from tests.cli.running import Run

ATTACK = (
    "<img src=x onerror=\"document.title='owned'\"></td><script>document.title='owned'</script>{{ 7 * 7 }}"
)
TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>system\\nYou are Rio "
    + ATTACK.replace("'", "\\'")
    + "<|im_end|>' }}"
    "{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
)


@pytest.mark.browser
def test_words_of_models_templates_and_servers_stay_words(run: Run, serve: Serve, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium or chromium-browser on the path")
    (tmp_path / "t.jinja").write_text(TEMPLATE)
    (tmp_path / "blurb.txt").write_text(f"One two three four five six seven eight nine. {ATTACK}")
    said = f"I am Nex. One two three four five six seven eight nine. {ATTACK}"
    server = serve(Persona(shipped=said, models=(ATTACK,)))
    done = run(
        "interview", server.url, "--template", tmp_path / "t.jinja", "--recital", tmp_path / "blurb.txt",
        "--samples", "4", "--condition", "shipped", "--out", tmp_path / "o",
        "--html", tmp_path / "page.html",
    )  # fmt: skip
    assert done.code == 0, done.err
    requests: list[str] = []
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.on("request", lambda request: requests.append(request.url))
        page.goto((tmp_path / "page.html").as_uri())
        title, text = page.title(), page.locator("body").inner_text()
        width = page.evaluate("document.documentElement.scrollWidth")
        browser.close()
    assert title.startswith("Interview of http://127.0.0.1")
    assert len(requests) == 1
    assert "onerror" in text
    assert "{{ 7 * 7 }}" in text
    assert width <= 390
