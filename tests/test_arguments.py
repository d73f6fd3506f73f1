"""Whatever is passed in place of what is expected is named before anything is sent."""

import enum

import pytest

from streamsafe import ConfigurationError, StreamSession
from streamsafe.monitor import SharedFigures, StreamMonitor
from streamsafe.testing import FaultServer, reply

#: What is no value of any argument that wants an object of some kind.
NOTHING = (3, -1.5, "x", b"x", [1], {"a": 1}, True, object())


@pytest.fixture(scope="module")
def server():
    with FaultServer() as running:
        running.always(reply(500))
        yield running


@pytest.fixture
def asking(server):
    return StreamSession("openai_compatible", base_url=f"{server.url}/v1", model="m", retry=0)


@pytest.mark.parametrize("name", ["journal", "http", "transport", "clock", "observers", "limits"])
@pytest.mark.parametrize("value", NOTHING, ids=repr)
def test_an_object_of_another_kind_is_refused_by_the_session(name, value):
    with pytest.raises(ConfigurationError, match=name):
        StreamSession("openai", **{name: value})


@pytest.mark.parametrize("name", ["journal", "cancel", "observers", "fallbacks", "on_token"])
@pytest.mark.parametrize("value", NOTHING, ids=repr)
def test_an_object_of_another_kind_is_refused_by_the_stream(asking, name, value):
    with pytest.raises(ConfigurationError, match=name):
        asking.stream("Hi", **{name: value})


class Model(str, enum.Enum):
    SMALL = "model-small"


def test_a_model_may_be_an_enums_member():
    assert f"{StreamSession('openai', model=Model.SMALL).model}" == "model-small"


async def awaited(text):
    pass


def test_an_async_callback_which_nobody_awaits_is_refused(asking):
    with pytest.raises(ConfigurationError, match="on_token=.*a plain function"):
        asking.stream("Hi", on_token=awaited)
    with pytest.raises(ConfigurationError, match="sink=.*a plain function"):
        asking.stream("Hi", sink=awaited)


def test_messages_and_bytes_are_told_where_a_prompt_goes(asking):
    with pytest.raises(ConfigurationError, match="did you mean prompt_or_messages="):
        asking.stream(messages=[{"role": "user", "content": "Hi"}])
    with pytest.raises(ConfigurationError, match="expected a prompt .*, got bytes"):
        asking.stream(b"Hi")


@pytest.mark.parametrize("name", ["api_key", "base_url", "model"])
@pytest.mark.parametrize("value", [3, b"secret", ["secret"], True])
def test_what_must_be_text_is_refused_and_not_shown(name, value):
    with pytest.raises(ConfigurationError, match=f"{name} is a") as raised:
        StreamSession("openai", **{name: value})
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("value", [3, "x", ["x"], {"a": 1}, {1: "a"}, {"a": b"secret"}])
def test_headers_are_a_mapping_of_texts(asking, value):
    for make in (
        lambda: StreamSession("openai", headers=value),
        lambda: asking.events("http://localhost", headers=value),
    ):
        with pytest.raises(ConfigurationError, match="headers") as raised:
            make()
        assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": 3}, {"url": "ftp://x"}, {"method": 3}, {"method": ""}, {"method": "GET /x"},
        {"last_event_id": 3}, {"limits": 3}, {"timeouts": "x"}, {"retry": "x"},
    ],
)  # fmt: skip
def test_an_event_source_names_what_is_wrong(asking, server, wrong):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        asking.events(**{"url": server.url, **wrong})


def test_a_journal_of_another_kind_is_refused_for_many_prompts_too(asking):
    with pytest.raises(ConfigurationError, match="journal"):
        asking.map(["Hi"], journal="streams.db")
    with pytest.raises(ConfigurationError, match="stream_id"):
        asking.resume(3, journal=Shelf())


class Shelf:
    """A journal that is not to be asked."""

    def begin(self):
        raise AssertionError

    claim = info = begin


@pytest.mark.parametrize(
    ("meant", "said"),
    [
        ({"timeout": 5}, "timeouts"),
        ({"max_retries": 5}, "retry"),
        ({"on_tokens": print}, "on_token, on_error"),
    ],
)
def test_what_was_meant_for_the_session_does_not_go_into_the_request(asking, meant, said):
    with pytest.raises(ConfigurationError, match=said):
        asking.stream("Hi", **meant)
    with pytest.raises(ConfigurationError, match=said):
        StreamSession("openai", **meant)


def test_none_is_none_at_all(asking):
    assert asking.stream("Hi", observers=None, fallbacks=None).status == "pending"
    assert StreamSession("openai", observers=None, headers=None).observers == ()


def test_nothing_was_sent(server):
    assert server.requests == ()


HALF = "rivers\ud83c"  # of a character beyond the basic plane, as UTF-16 has it


@pytest.mark.parametrize(
    "asks",
    [
        lambda asking: asking.stream("Hi", stream_id=HALF),
        lambda asking: asking.stream("Hi", model=HALF),
        lambda asking: asking.stream(body={"model": HALF}),
        lambda asking: asking.stream("Hi", fallbacks=[("openai", HALF)]),
        lambda asking: asking.resume(HALF, journal=Shelf()),
        lambda asking: asking.map(["Hi"], name=HALF),
    ],
)
def test_half_a_surrogate_pair_is_no_name(asking, asks, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with pytest.raises(ConfigurationError, match=r"surrogate pair, '\\ud83c' at 6: expected"):
        asks(asking)


def test_a_key_with_half_a_pair_is_not_shown():
    with pytest.raises(ConfigurationError, match="api_key holds") as raised:
        StreamSession("openai", api_key=HALF)
    assert HALF[:6] not in repr((raised.value, raised.value.__cause__, raised.value.__context__))


def test_nor_is_it_an_item_of_a_batch(asking):
    (result,) = asking.map([{"prompt": "Hi", "id": HALF}])
    assert isinstance(result.error, ConfigurationError) and "surrogate" in str(result.error)


@pytest.mark.parametrize("name", [HALF, "a\0b"])
def test_no_sink_has_a_name_that_no_file_can_have(asking, tmp_path, name):
    with pytest.raises(ConfigurationError, match="sink="):
        asking.stream("Hi", sink=tmp_path / name)


def test_the_class_of_an_observer_is_no_observer():
    with pytest.raises(ConfigurationError, match="StreamMonitor"):
        StreamSession("openai", observers=[StreamMonitor])


@pytest.mark.parametrize("value", (3, -1.5, b"", "", [1], {"a": 1}, True, object()), ids=repr)
def test_what_a_monitor_cannot_use_is_refused(value):
    with pytest.raises(ConfigurationError, match="share"):
        StreamMonitor(share=value)
    with pytest.raises(ConfigurationError, match="add_listener"):
        StreamMonitor().add_listener(value)


def test_figures_are_shared_by_a_path_of_either_kind(tmp_path):
    StreamMonitor(share=tmp_path / "figures.db").close()
    assert SharedFigures(tmp_path / "figures.db").get_stats()["total_streams"] == 0
