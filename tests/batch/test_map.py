"""``session.map``: many prompts, their results in order, each asked once."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from streamsafe import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConnectError,
    ConnectionDroppedError,
    RateLimitError,
    RetryPolicy,
    StreamCancelledError,
    StreamSession,
)
from streamsafe.batch import driver, judge
from streamsafe.batch.driver import WINDOW_PER_WORKER
from streamsafe.testing import reply, rst, stall, stream, wait
from streamsafe.testing.answers import openai_chat


def answer_to(prompt):
    return f"The answer to {prompt}, whole."


def texts(results):
    return [result.value().text for result in results]


def prompts(number):
    return [f"question {n}" for n in range(number)]


def by_prompt(server, faults):
    """Do these things to the prompts named, once each; answer all else."""

    def handler(request):
        prompt = request.json["messages"][-1]["content"]
        queue = faults.get(prompt)
        return queue.pop(0) if queue else stream(openai_chat(answer_to(prompt), usage=(3, 6)))

    server.handle(handler)


# -- results ---------------------------------------------------------------------------------------


def test_results_come_in_the_order_of_the_prompts(server, session):
    by_prompt(server, {"question 0": [stream(wait("first"), openai_chat(answer_to("question 0")))]})
    results = session.map(prompts(9))
    threading.Timer(0.1, lambda: server.gate("first").open()).start()
    found = list(results)
    assert [result.index for result in found] == list(range(9))
    assert [result.prompt for result in found] == prompts(9)
    assert texts(found) == [answer_to(prompt) for prompt in prompts(9)]
    assert set(server.asked.values()) == {1}


def test_nothing_is_sent_before_it_is_iterated_and_an_empty_batch_is_none(server, session):
    session.map(prompts(3))
    assert list(session.map([])) == []
    assert server.requests == ()


def test_what_fails_is_a_result_and_the_others_go_on(server, session):
    by_prompt(server, {"question 1": [reply(400, json={"error": {"message": "Too odd"}})]})
    good, bad, also_good = session.map(prompts(3))
    assert good.ok and also_good.ok and not bad.ok
    assert isinstance(bad.error, BadRequestError) and bad.completion.text == ""
    with pytest.raises(BadRequestError, match="Too odd"):
        bad.value()


def test_a_prompt_that_can_not_be_asked_is_a_result_too(server, session):
    results = list(session.map(["Hi", "", {"promt": "Hi"}, 17, {"prompt": "Bye", "id": "b"}]))
    assert [result.ok for result in results] == [True, False, False, False, True]
    assert all(isinstance(results[n].error, ConfigurationError) for n in (1, 2, 3))
    assert results[4].id == "b" and len(server.requests) == 2


def test_prompts_bring_their_own_model_and_parameters_and_share_the_rest(server, session):
    messages = [{"role": "user", "content": "b"}]
    own = {"prompt": "a", "model": "larger", "temperature": 0}
    line = {"custom_id": "c", "body": {"model": "other", "prompt": "raw", "messages": "mine"}}
    assert all(r.ok for r in session.map([own, messages], max_tokens=5, max_workers=1))
    one, other = (request.json for request in server.requests)
    assert (one["model"], one["temperature"], one["max_tokens"]) == ("larger", 0, 5)
    assert (other["model"], other["max_tokens"]) == ("m", 5)
    server.reset()
    server.expect(stream(openai_chat("raw")))
    assert texts(session.map([line], model="for all")) == ["raw"]
    assert server.requests[0].json["model"] == "other"


def test_a_broken_answer_is_asked_for_again_without_being_told_to(server, session):
    events = openai_chat(answer_to("question 1"))
    by_prompt(server, {"question 1": [stream(events[:3], then=rst())]})
    results = list(session.map(prompts(3), retry=RetryPolicy(base=0.0)))
    assert texts(results) == [answer_to(prompt) for prompt in prompts(3)]
    assert server.asked["question 1"] == 2 and sum(server.asked.values()) == 4


def test_never_means_never(server, session):
    events = openai_chat(answer_to("question 0"))
    by_prompt(server, {"question 0": [stream(events[:3], then=rst())]})
    (result,) = session.map(prompts(1), resume="never")
    assert isinstance(result.error, ConnectionDroppedError)
    assert result.completion.text and answer_to("question 0").startswith(result.completion.text)


def test_a_cut_off_answer_is_an_answer(server, session):
    by_prompt(server, {"question 0": [stream(openai_chat("Too l", finish_reason="length"))]})
    (result,) = session.map(prompts(1))
    assert result.ok and result.completion.outcome.value == "truncated"


# -- bounds ----------------------------------------------------------------------------------------


def test_no_more_are_asked_at_a_time_than_was_said(server, session):
    at_once, most, lock = [0], [0], threading.Lock()

    def handler(request):
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        return stream(openai_chat("x"))

    server.handle(handler)

    def ended(completion):
        with lock:
            at_once[0] -= 1

    assert all(result.ok for result in session.map(prompts(30), max_workers=3, on_complete=ended))
    assert most[0] <= 3


def test_endless_prompts_are_not_read_far_ahead(server, session):
    read = itertools.count()
    results = session.map((f"question {n}" for n in read), max_workers=2)
    for _ in range(10):
        assert next(results).ok
    results.close()
    assert next(read) <= 10 + 2 * WINDOW_PER_WORKER + 1


def test_a_slow_answer_holds_the_window_up_and_no_more_is_read(server, session):
    by_prompt(server, {"question 0": [stream(wait("slow"), openai_chat(answer_to("question 0")))]})
    read = itertools.count()
    results = session.map((f"question {n}" for n in read), max_workers=2)
    full = 2 * WINDOW_PER_WORKER
    thread = threading.Thread(target=lambda: next(results), daemon=True)
    thread.start()
    server.wait_for_request(full)
    server.gate("slow").open()
    thread.join(10)
    assert not thread.is_alive()
    results.close()
    assert next(read) <= full + 3


# -- servers that refuse ---------------------------------------------------------------------------


def test_a_refused_prompt_is_asked_again_when_the_server_has_room(server, session):
    refusal = reply(429, headers={"Retry-After": "0"})
    by_prompt(server, {prompt: [refusal] * 7 for prompt in prompts(3)})
    results = list(session.map(prompts(12)))
    assert texts(results) == [answer_to(prompt) for prompt in prompts(12)]
    assert [server.asked[prompt] for prompt in prompts(4)] == [8, 8, 8, 1]


def test_all_wait_when_one_is_told_to(server, session, monkeypatch):
    held = []
    real = driver.Limiter.wait
    monkeypatch.setattr(
        driver.Limiter, "wait",
        lambda self, *args: held.append(real(self, *args)) or held[-1],
    )  # fmt: skip
    by_prompt(server, {"question 0": [reply(429, headers={"Retry-After": "0.3"})]})
    assert len(texts(session.map(prompts(4), max_workers=1))) == 4
    assert max(wait for wait in held if wait is not None) > 0.2


def test_a_server_that_takes_two_at_a_time_is_soon_asked_by_two(server, session):
    lock, at_once, refused = threading.Lock(), [0], [0]

    def handler(request):
        with lock:
            if at_once[0] >= 2:
                refused[0] += 1
                return reply(429, headers={"Retry-After": "0.02"})
            at_once[0] += 1
        return stream(openai_chat("x"))

    def ended(completion):
        with lock:
            at_once[0] -= 1

    server.handle(handler)
    results = list(session.map(prompts(60), on_complete=ended))
    assert all(result.ok for result in results)
    assert refused[0] < 60, "as many refusals as answers: it hammers"


def test_whoever_wants_no_retries_gets_none(server, session):
    by_prompt(server, {"question 0": [reply(429)]})
    (result,) = session.map(prompts(1), retry=0)
    assert isinstance(result.error, RateLimitError) and len(server.requests) == 1


def test_a_wait_that_is_too_long_is_not_waited(server, session):
    by_prompt(server, {"question 0": [reply(429, headers={"Retry-After": "3600"})]})
    (result,) = session.map(prompts(1))
    assert result.error.retry_after == 3600


def test_a_server_that_does_nothing_but_refuse_is_given_up_in_the_end(
    server, session, monkeypatch
):
    monkeypatch.setattr(judge, "PATIENCE", 0.2)
    server.always(reply(429, headers={"Retry-After": "0.05"}))
    results = list(session.map(prompts(3)))
    assert all(isinstance(result.error, RateLimitError) for result in results)


def test_a_wrong_key_ends_the_batch_after_what_had_been_asked(server, session):
    server.always(reply(401))
    found = []
    with pytest.raises(AuthenticationError):
        for result in session.map(prompts(1000), max_workers=2):
            found.append(result)
    assert 1 <= len(found) <= 2 and len(server.requests) <= 2
    assert not any(result.ok for result in found)


# -- leaving ---------------------------------------------------------------------------------------


def test_leaving_the_loop_cancels_what_runs(server, session):
    events = openai_chat(answer_to("x"))
    by_prompt(
        server, {f"question {n}": [stream(events[:3], then=stall())] for n in range(1, 4)}
    )
    for result in session.map(prompts(4), max_workers=4):
        server.wait_for_request(4)
        break
    for request in server.requests[:4]:
        assert request.over.wait(5)


def test_a_cancel_token_ends_it_too(server, session):
    token = threading.Event()
    events = openai_chat(answer_to("x"))
    by_prompt(server, {"question 1": [stream(events[:3], then=stall())]})
    results = session.map(prompts(1000), max_workers=2, cancel=token)
    assert next(results).ok
    token.set()
    with pytest.raises(StreamCancelledError):
        for _ in results:
            pass
    assert len(server.requests) < 100


def test_an_executor_of_the_programs_own_is_used_and_left_alone(server, session):
    with ThreadPoolExecutor(3, "mine") as executor:
        seen = set()
        results = session.map(
            prompts(6), executor=executor,
            on_complete=lambda completion: seen.add(threading.current_thread().name),
        )  # fmt: skip
        assert all(result.ok for result in results)
        assert executor.submit(lambda: 17).result() == 17
    assert seen and all(name.startswith("mine") for name in seen)


# -- wrong calls -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"prompts": "one"}, "an iterable of prompts"),
        ({"prompts": {"prompt": "one"}}, "an iterable of prompts"),
        ({"prompts": 5}, "an iterable of prompts"),
        ({"prompts": [], "executor": 4}, "executor=4"),
        ({"prompts": [], "max_workers": 0}, "max_workers=0"),
        ({"prompts": [], "name": ""}, "name=''"),
        ({"prompts": [], "progress": "yes"}, "progress='yes'"),
        ({"prompts": [], "resume": "often"}, "resume='often'"),
        ({"prompts": [], "retry": "often"}, "retry='often'"),
        ({"prompts": [], "sink": "x"}, "sink= differs"),
        ({"prompts": [], "stream_id": "x"}, "stream_id= differs"),
    ],
)
def test_a_wrong_call_is_told_at_once(session, arguments, said):
    with pytest.raises(ConfigurationError, match=said):
        session.map(**arguments)


def test_a_missing_key_is_told_before_a_prompt_is_read():
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        StreamSession("openai", model="m").map(["Hi"])


# -- servers that are not there --------------------------------------------------------------------


def test_a_wrong_address_ends_it_after_a_few():
    nowhere = StreamSession("openai_compatible", base_url="http://127.0.0.1:9/v1", model="m")
    found = []
    with nowhere, pytest.raises(ConnectError):
        for result in nowhere.map(prompts(1000), max_workers=1, retry=RetryPolicy(1, base=0.0)):
            found.append(result)
    assert 1 <= len(found) < 20


def test_the_error_of_all_is_a_result_where_none_was_left_to_ask(server, session):
    server.always(reply(401))
    (result,) = session.map(prompts(1))
    assert isinstance(result.error, AuthenticationError)
