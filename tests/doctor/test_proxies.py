"""What the diagnosis says of real proxies between a server and the program."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time

import pytest

from streamsafe import StreamingError, StreamSession, Timeouts
from streamsafe.debug import StreamDebugger
from streamsafe.testing import FaultServer, openai_chat, pause, prose, stall, stream

pytestmark = pytest.mark.service

TEXT = prose(700)
EVENTS = openai_chat(TEXT)
PACED = [[pause(0.012), event] for event in EVENTS]

NGINX = """
daemon off; master_process off; pid nginx.pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {server}; proxy_http_version 1.1; proxy_set_header Connection "";
            {options}
        }}
    }}
}}
"""

HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server {options}
frontend front
    bind 127.0.0.1:{port}
    default_backend back
backend back
    server one {address}
"""


@pytest.fixture
def server():
    with FaultServer() as running:
        yield running


@pytest.fixture
def behind(server, tmp_path, free_port):
    """Starts nginx or HAProxy before the server, and returns its URL."""
    running = []

    def start(name, config, options, *command):
        binary = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
        if binary is None:
            pytest.skip(f"no {name} here")
        port = free_port()
        path = tmp_path / f"{name}.conf"
        address = server.url.partition("//")[2]
        path.write_text(
            config.format(port=port, server=server.url, address=address, options=options)
        )
        process = subprocess.Popen(
            [binary, *command, str(path)], cwd=tmp_path, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        running.append(process)
        until_it_listens(process, port)
        return f"http://127.0.0.1:{port}"

    yield start
    for process in running:
        process.terminate()
        process.wait(10)
        process.stderr.close()


@pytest.fixture
def nginx(behind, tmp_path):
    return lambda options: behind("nginx", NGINX, options, "-p", str(tmp_path), "-c")


@pytest.fixture
def haproxy(behind):
    return lambda timeout: behind("haproxy", HAPROXY, timeout, "-f")


def until_it_listens(process, port):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(process.stderr.read().decode())
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError("it does not listen")


def rules(url, **settings):
    """The rules that fire on one stream, and its debugger."""
    debugger = StreamDebugger()
    with StreamSession(
        "openai_compatible", base_url=url + "/v1", retry=0, resume="never", model="m",
        observers=(debugger,), **settings,
    ) as session:  # fmt: skip
        try:
            assert session.complete("Hi").text == TEXT
        except StreamingError:
            pass
    return [finding.rule for finding in debugger.diagnose()], debugger


def test_nginx_without_buffering_is_not_noticed(server, nginx):
    server.always(stream(PACED, framing="close"))
    assert rules(nginx("proxy_buffering off;"))[0] == []


def test_nginx_with_its_default_buffering_passes_on_full_buffers(server, nginx):
    server.always(stream(PACED, framing="close"))
    found, debugger = rules(nginx(""))
    assert found == ["full-buffers"]
    report = debugger.report()
    assert "reads of exactly 4,096 bytes" in report and "server: nginx" in report


def test_nginx_with_large_buffers_gives_all_at_once(server, nginx):
    server.always(stream(PACED, framing="close"))
    found, debugger = rules(nginx("proxy_buffers 8 64k; proxy_buffer_size 64k;"))
    assert found == ["buffered"]
    assert "nginx: proxy_buffering off" in debugger.report()


def test_nginx_passes_on_what_a_server_sends_in_chunks_though_it_buffers(server, nginx):
    server.always(stream(PACED))
    assert rules(nginx(""))[0] == []


def test_the_servers_own_header_switches_the_buffering_off(server, nginx):
    server.always(stream(PACED, framing="close", headers={"X-Accel-Buffering": "no"}))
    assert rules(nginx(""))[0] == []


def test_nginx_compresses_no_stream_for_a_client_that_wants_none(server, nginx):
    server.always(stream(PACED))
    options = "proxy_buffering off; gzip on; gzip_types text/event-stream; gzip_min_length 1;"
    assert rules(nginx(options))[0] == []


def test_nginx_that_gives_up_on_a_silent_server_is_a_cut(server, nginx):
    server.always(stream(PACED[:9], then=stall()))
    found, debugger = rules(nginx("proxy_buffering off; proxy_read_timeout 1s;"))
    assert found == ["closed"] and debugger.timeline().verdict == "failed"
    assert 0.7 < debugger.timeline().tries[0].silence < 5


def test_nginx_before_a_server_that_is_gone_says_so_itself(server, nginx):
    url = nginx("")
    server.refuse()
    found, debugger = rules(url)
    assert found == ["gateway"] and "502" in debugger.report()


def test_haproxy_that_gives_up_on_a_silent_server_is_a_cut(server, haproxy):
    server.always(stream(PACED[:9], then=stall()))
    found, debugger = rules(haproxy("1s"))
    assert found == ["closed"]
    assert 0.7 < debugger.timeline().tries[0].silence < 5


def test_haproxy_that_gives_up_before_the_first_byte_answers_504(server, haproxy):
    server.always(stream(EVENTS, first=stall()))
    found, debugger = rules(haproxy("1s"), timeouts=Timeouts(first_token=10))
    assert found == ["gateway"] and "504" in debugger.report()


def test_haproxy_passes_a_healthy_stream_on(server, haproxy):
    server.always(stream(PACED))
    assert rules(haproxy("30s"))[0] == []
