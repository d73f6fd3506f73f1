"""Other executors: processes of this machine, and Dask's workers."""

import multiprocessing
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor

import pytest

from streamsafe import RetryPolicy, StreamSession
from streamsafe.batch.task import MAX_KEPT, Shared, _kept
from streamsafe.journal import SQLiteJournal
from streamsafe.testing import rst, stream
from streamsafe.testing.answers import openai_chat


@pytest.fixture(scope="module")
def processes():
    # Not forked: the servers of the tests have threads.
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
        yield executor


def texts(results):
    return [result.value().text for result in results]


def test_processes_answer_and_use_their_connections_again(server, session, processes):
    events = openai_chat("The answer to p3, whole.")
    seen = []

    def handler(request):
        prompt = request.json["messages"][-1]["content"]
        seen.append(request.connection)
        if prompt == "p3" and server.asked["p3"] == 1:
            return stream(events[:4], then=rst())
        return stream(openai_chat(f"The answer to {prompt}, whole."))

    server.handle(handler)
    prompts = [f"p{n}" for n in range(20)]
    results = session.map(prompts, executor=processes, retry=RetryPolicy(base=0.0))
    assert texts(results) == [f"The answer to {prompt}, whole." for prompt in prompts]
    assert server.asked == {prompt: 1 + (prompt == "p3") for prompt in prompts}
    assert len(set(seen)) <= 3  # one a process, and one after the reset


def test_processes_share_a_journal(server, session, processes, tmp_path):
    with SQLiteJournal(tmp_path / "journal.db") as journal:
        for _ in range(2):
            assert len(texts(session.map(list("abcdef"), executor=processes, journal=journal))) == 6
        assert set(server.asked.values()) == {1}


def test_the_key_of_another_process_is_from_its_environment(server, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "from-the-environment")
    session = StreamSession("openai", base_url=f"{server.url}/v1", model="m", api_key="given")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        assert len(texts(session.map(["a"], executor=executor))) == 1
    assert server.requests[0].headers["authorization"] == "Bearer from-the-environment"


def test_a_broken_executor_is_raised(server, session):
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        with pytest.raises(BrokenExecutor):
            executor.submit(multiprocessing.process.os._exit, 1).result()
        with pytest.raises(BrokenExecutor):
            list(session.map(["a"], executor=executor))


def test_a_process_keeps_the_first_of_a_batch_and_not_too_many():
    made = [Shared(f"token-{n}", None, None, RetryPolicy(), {}) for n in range(MAX_KEPT + 3)]
    function, fields = made[0].__reduce__()
    assert function(*fields) is _kept(*fields)
    kept = [_kept(*one.__reduce__()[1]) for one in made]
    assert _kept(*made[-1].__reduce__()[1]) is kept[-1]
    assert _kept(*made[0].__reduce__()[1]) is not kept[0]


@pytest.mark.slow
@pytest.mark.service
@pytest.mark.filterwarnings("default")  # Dask's and tornado's own
def test_dask_spreads_it_over_processes(server, session, tmp_path):
    distributed = pytest.importorskip("distributed")
    with SQLiteJournal(tmp_path / "journal.db") as journal, distributed.LocalCluster(
        n_workers=2, threads_per_worker=4, processes=True, dashboard_address=None
    ) as cluster, distributed.Client(cluster) as client:
        prompts = [f"p{n}" for n in range(100)]
        for _ in range(2):
            results = session.map(
                prompts, executor=client.get_executor(), journal=journal, max_workers=16
            )
            assert texts(results) == [f"The answer to {prompt}, whole." for prompt in prompts]
    assert set(server.asked.values()) == {1}
