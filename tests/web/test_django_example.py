"""The Django example in a real browser: an address shows its answer, wherever it is opened."""

from pathlib import Path

import pytest

pytest.importorskip("django")

pytestmark = [pytest.mark.browser, pytest.mark.service]

EXAMPLE = Path(__file__).parents[2] / "examples" / "django_chat"
TEXT = "document.getElementById('answer').textContent"
STATE = "document.getElementById('state').textContent"


@pytest.fixture(scope="module")
def site(serve, tmp_path_factory):
    run = ["app.py", "runserver", "--noreload", "127.0.0.1:{port}"]
    journal = tmp_path_factory.mktemp("site") / "streams.db"
    with serve(run, EXAMPLE, JOURNAL=journal, PACE=0.01) as port:
        yield f"http://127.0.0.1:{port}/"


def answer():
    source = (EXAMPLE / "app.py").read_text(encoding="utf-8")
    return source.split('ANSWER = """')[1].split('"""')[0].replace("\\\n", "")


def ask(page, question):
    page.run("document.getElementById('question').focus()")
    page.type(question)
    page.press("Enter", 13)


def test_a_reload_in_the_middle_shows_the_same_text_and_it_goes_on(site, page):
    page.open(site)
    ask(page, "What does a lighthouse say?")
    page.wait_for(f"{TEXT}.length > 100")
    before = page.run(TEXT)
    page.reload()
    page.wait_for(f"{TEXT}.length > {len(before)}")
    assert page.run(TEXT).startswith(before)
    page.wait_for(f"{STATE}.startsWith('Complete')")
    assert page.run(TEXT) == answer()


def test_the_address_shows_question_and_answer_also_where_they_were_not_asked(site, page):
    page.open(site)
    ask(page, "What does a lighthouse say?")
    page.wait_for(f"{TEXT}.length > 20")
    address = page.run("location.href")
    page.open("about:blank")  # nobody reads, and it is written all the same
    page.open(address)
    page.wait_for(f"{STATE}.startsWith('Complete')")
    assert page.run(TEXT) == answer()
    question = page.run("document.getElementById('question').value")
    assert question == "What does a lighthouse say?"


def test_an_address_without_an_answer_says_so(site, page):
    page.open(f"{site}#nobody")
    page.wait_for(f"{STATE}.startsWith('The answer cannot be had')")
    assert page.run("document.getElementById('stop').hidden")


def test_escape_stops_the_answer_and_says_so(site, page):
    page.open(site)
    ask(page, "What does a lighthouse say?")
    page.wait_for(f"{TEXT}.length > 20")
    page.press("Escape", 27)
    page.wait_for(f"{STATE} === 'The answer was stopped.'")
    assert answer().startswith(page.run(TEXT)) and page.run(TEXT) != answer()
