"""The runner: servers, fresh client processes, rounds. It measures nothing itself."""

from __future__ import annotations

import http.client
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Optional

from benchmarks import clients
from benchmarks.bodies import Spec
from benchmarks.case import Case
from benchmarks.client import Task

ROOT = Path(__file__).resolve().parent.parent

#: Peers of which a small part of a stream is enough are slow; they run in the first round only.
SLOW = 0.25


class Cores(NamedTuple):
    """Which core is whose, or None where that can't be chosen."""

    server: Optional[int]
    client: Optional[int]

    @classmethod
    def choose(cls) -> Cores:
        """The last two that we may use: the first one has the machine's own work to do."""
        if not hasattr(os, "sched_getaffinity"):
            return cls(None, None)
        cores = sorted(os.sched_getaffinity(0))
        return cls(cores[-2], cores[-1]) if len(cores) > 1 else cls(None, None)


class Server:
    """A running server process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        hello = json.loads(process.stdout.readline())
        self.port: int = hello["port"]
        self.facts: dict[str, list[Any]] = hello["facts"]

    def url(self, body: str) -> str:
        """The base URL under which a body is served, whatever the path behind it."""
        return f"http://127.0.0.1:{self.port}/{body}"

    def connections(self) -> int:
        """How many connections have asked for a body."""
        asking = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            asking.request("GET", "/connections")
            return int(json.loads(asking.getresponse().read())["connections"])
        finally:
            asking.close()


class Runner:
    """Runs cases on this interpreter, with this checkout's streamsafe."""

    def __init__(self, peers: Sequence[str], rounds: int) -> None:
        self.cores = Cores.choose()
        self._peers = tuple(peers)
        self._rounds = rounds
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}

    def rounds(self, workload: str, case: Case) -> list[dict[str, dict[str, Any]]]:
        """For each round the figures of each peer; the order of the peers rotates."""
        peers = self._asked(case)
        if not peers:
            return []
        with self._server(case) as server:
            rounds: list[dict[str, dict[str, Any]]] = []
            for number in range(self._rounds):
                turn = number % len(peers)
                order = [*peers[turn:], *peers[:turn]]
                done = [peer for peer in order if not number or _again(peer, rounds[0])]
                rounds.append({peer: self._run(workload, case, peer, server) for peer in done})
        return rounds

    def _asked(self, case: Case) -> list[str]:
        """Those that the case is about and the program wants; the baseline always runs."""
        api = case.spec.api if case.spec else "chat"
        peers = [
            peer
            for peer in case.peers or clients.PEERS
            if peer.partition("+")[0] in self._peers and api in clients.load(peer).APIS
        ]
        if peers and case.baseline not in peers:
            peers.append(case.baseline)
        return peers

    @contextmanager
    def _server(self, case: Case) -> Iterator[Server]:
        """A server with the case's body, in the lengths that the peers read, and a short one."""
        spec = case.spec or Spec()
        bodies = {"warm": Spec(spec.api, 50)._asdict()}
        if case.beside is not None:
            bodies["beside"] = case.beside._asdict()
        for share in {clients.load(peer).SHARE for peer in self._asked(case)}:
            bodies[_body(share)] = _shared(spec, share)._asdict()
        command = [sys.executable, "-m", "benchmarks.server", json.dumps(bodies)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=self._environment, cwd=ROOT,
        )  # fmt: skip
        try:
            if self.cores.server is not None:
                os.sched_setaffinity(process.pid, {self.cores.server})
            yield Server(process)
        finally:
            process.kill()
            process.communicate()

    def _run(self, workload: str, case: Case, peer: str, server: Server) -> dict[str, Any]:
        """The figures of one peer in a process of its own, or "failed" and why."""
        before = server.connections()
        module = importlib.import_module(f"benchmarks.workloads.{workload}")
        if hasattr(module, "command") and case.spec is None:
            command = module.command(peer, case)
        else:
            command = self._command(workload, case, peer, server)
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=case.seconds,
                env=self._environment, cwd=ROOT,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"failed": f"not done in {case.seconds:g} s"}
        if done.returncode or not done.stdout:
            lines = done.stderr.strip().splitlines() or ["no output"]
            return {"failed": lines[-1][:200]}
        figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        if "wrong" in figures:
            return {"failed": figures["wrong"]}
        if case.spec is not None:
            # One was that of the warm-up.
            figures["connections"] = server.connections() - before - 1
        return figures

    def _command(self, workload: str, case: Case, peer: str, server: Server) -> list[str]:
        body = _body(clients.load(peer).SHARE)
        task = Task(
            workload=workload,
            peer=peer,
            url=server.url(body),
            warm=server.url("warm"),
            api=case.spec.api if case.spec else "chat",
            facts=server.facts[body],
            beside=server.url("beside") if case.beside is not None else None,
            beside_facts=server.facts.get("beside"),
            arguments=dict(case.arguments),
            core=self.cores.client,
        )
        return [sys.executable, "-m", "benchmarks.client", json.dumps(task._asdict())]


def _again(peer: str, first: dict[str, dict[str, Any]]) -> bool:
    return clients.load(peer).SHARE > SLOW and "failed" not in first[peer]


def _body(share: float) -> str:
    return f"share-{share:g}"


def _shared(spec: Spec, share: float) -> Spec:
    """The part of a long stream that a slow peer reads; short ones are read whole."""
    if spec.events < 2000 or spec.pace:
        return spec
    return spec._replace(events=max(1000, int(spec.events * share)))
