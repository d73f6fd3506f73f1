from __future__ import annotations

import socket

import pytest

from streamsafe.errors import ConfigurationError
from streamsafe.models import Usage
from streamsafe.observe.statsd import StatsdExporter


@pytest.fixture
def server():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(10)
        yield listening


@pytest.fixture
def exporter_to(server, clock):
    made = []

    def make(**named):
        made.append(StatsdExporter(*server.getsockname(), clock=clock, **named))
        return made[-1]

    yield make
    for exporter in made:
        exporter.close()


def packets(server, count):
    return [server.recv(65536).decode().split("\n") for _ in range(count)]


def test_a_stream_sends_counters_and_timers(server, exporter_to, life):
    stream = life(exporter_to()).begin().read("a", after=0.5, size=40)
    stream.read("b", after=0.25, size=60).complete(usage=Usage(10, 20, total_tokens=30))
    started, ended = packets(server, 2)
    assert started == ["streamsafe.streams.started:1|c"]
    gaps = [line for line in ended if ".gap." in line]
    assert [line for line in ended if line not in gaps] == [
        "streamsafe.streams.complete:1|c",
        "streamsafe.bytes:100|c",
        "streamsafe.chunks:2|c",
        "streamsafe.tokens.input:10|c",
        "streamsafe.tokens.output:20|c",
        "streamsafe.duration:750.000|ms",
        "streamsafe.ttft:500.000|ms",
    ]
    assert [float(line.split(":")[1][:-3]) for line in gaps] == pytest.approx([250, 250], rel=0.03)


def test_retries_stalls_and_errors_are_sent_as_they_come(server, exporter_to, life):
    life(exporter_to(prefix="app")).begin().stalled().retry().attempt().fail()
    sent = packets(server, 6)
    assert [lines[0] for lines in sent] == [
        "app.streams.started:1|c",
        "app.stalls:1|c",
        "app.retries:1|c",
        "app.errors.ConnectionDroppedError:1|c",
        "app.streams.failed:1|c",
        "app.errors.ServerError:1|c",
    ]


def test_tags_name_provider_model_and_type_without_what_would_end_them(server, exporter_to, life):
    life(exporter_to(tags=True), model="org/gpt,4|o:x\ny").begin().fail()
    started, ended, error = packets(server, 3)
    tags = "|#provider:openai,model:org/gpt_4_o_x_y"
    assert started == ["streamsafe.streams.started:1|c" + tags]
    assert all(line.endswith(tags) for line in ended)
    assert error == [f"streamsafe.errors:1|c{tags},type:ServerError"]


def test_what_cannot_be_sent_is_dropped_and_counted(exporter_to, life):
    exporter = exporter_to()
    exporter.close()
    life(exporter).begin().complete()
    assert exporter.dropped == 2


def test_an_address_that_cannot_be_found_is_refused_when_it_is_given():
    with pytest.raises(ConfigurationError, match="address can't be found"):
        StatsdExporter("no such host.invalid")
