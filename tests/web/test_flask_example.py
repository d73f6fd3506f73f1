"""The Flask example in a real browser: what is shown survives what browsers do."""

from pathlib import Path

import pytest

pytest.importorskip("flask")

pytestmark = [pytest.mark.browser, pytest.mark.service]

EXAMPLE = Path(__file__).parents[2] / "examples" / "flask_chat"
TEXT = "(document.querySelector('.answer') || {}).textContent"


def serving(serve, journal, **more):
    return serve(["app.py"], EXAMPLE, JOURNAL=journal, PACE=0.01, **more)


@pytest.fixture(scope="module")
def site(serve, tmp_path_factory):
    with serving(serve, tmp_path_factory.mktemp("site") / "streams.db") as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture(autouse=True)
def begun_anew(site, page):
    page.open(site)
    page.run("sessionStorage.clear()")
    page.reload()


def answer():
    source = (EXAMPLE / "app.py").read_text(encoding="utf-8")
    return source.split('ANSWER = """')[1].split('"""')[0].replace("\\\n", "")


def ask(page, question):
    page.run("document.getElementById('question').focus()")
    page.type(question)
    page.press("Enter", 13)


def test_a_reload_in_the_middle_shows_the_same_text_and_it_goes_on(page):
    ask(page, "What is a stream?")
    page.wait_for(f"{TEXT}.length > 100")
    before = page.run(TEXT)
    assert not page.run("turns[0].done")
    page.reload()
    page.wait_for(f"{TEXT}.length > {len(before)}")
    assert page.run(TEXT).startswith(before)
    page.wait_for("turns[0].done")
    assert page.run(TEXT) == answer()
    assert page.run("document.querySelector('h2').textContent") == "What is a stream?"
    page.reload()
    assert page.run(TEXT) == answer()  # also when it is whole


def test_a_server_that_dies_is_found_again_and_not_a_word_is_lost_or_shown_twice(
    serve, page, tmp_path
):
    journal = tmp_path / "streams.db"
    with serving(serve, journal) as port:
        page.open(f"http://127.0.0.1:{port}/")
        ask(page, "What is a stream?")
        page.wait_for(f"{TEXT}.length > 60")
    page.wait_for("document.querySelector('.state').textContent === 'connecting again'")
    before = page.run(TEXT)
    with serving(serve, journal, port=port):
        page.wait_for("turns[0].done")
    assert page.run(TEXT) == answer() != before


def test_escape_stops_the_answer_and_says_so(page):
    ask(page, "What is a stream?")
    page.wait_for(f"{TEXT}.length > 20")
    page.press("Escape", 27)
    page.wait_for("turns[0].done")
    assert page.run("document.querySelector('.state').textContent") == "The answer was stopped."
    assert answer().startswith(page.run(TEXT)) and page.run(TEXT) != answer()
    assert page.run("document.getElementById('send').textContent") == "Ask"


def test_a_conversation_is_shown_turn_by_turn(page):
    for number in (1, 2):
        ask(page, f"Question {number}?")
        page.wait_for(f"turns.length === {number} && turns[{number - 1}].done")
    shown = page.run("[...document.querySelectorAll('h2, .answer')].map((a) => a.textContent)")
    assert shown == ["Question 1?", answer(), "Question 2?", answer()]
