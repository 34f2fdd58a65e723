"""The fake's Engine API on its socket, and the proxy in front of its apps on port 443."""

from __future__ import annotations

import base64
import json
import os
import re
import socketserver
import ssl
import threading
import time
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from typing_extensions import override

from tests.support.fakehost import containers
from tests.support.fakehost.cli import Cli
from tests.support.fakehost.compose import NAMESPACE
from tests.support.fakehost.swarm import Swarm

Item = dict[str, Any]
SOCKET = "/run/docker.sock"
KEYS = Path("/run/keys")
_STATES = {"starting": "created", "running": "running"}


def _container(task: Item) -> Item:
    state = _STATES.get(task["Status"]["State"], "exited")
    names = [f"/{task['Name']}.{task['ID']}"]
    return {"Id": task["ID"], "Names": names, "State": state, "Labels": {NAMESPACE: task["Stack"]}}


def answer(swarm: Swarm, target: str) -> Any:
    """Return what the Engine API answers to a GET, or None where there is nothing."""
    parts = urlsplit(target)
    path = re.sub(r"^/v[0-9.]+", "", parts.path)
    filters = json.loads(parse_qs(parts.query).get("filters", ["{}"])[0])
    stack = next((w.partition("=")[2] for w in filters.get("label", []) if w.startswith(NAMESPACE)), None)
    hidden = {"Value", "Text", "Stack"}
    public: dict[str, list[Item]] = {
        k: [{n: v for n, v in i.items() if n not in hidden} for i in swarm.all(k)] for k in swarm.state
    }
    ran = [t for t in swarm.all("tasks") if t["Status"]["State"] != "rejected" and stack in (None, t["Stack"])]
    answers: dict[str, Any] = {
        "/info": {"ServerVersion": "20.10.24", "Swarm": {"ControlAvailable": True}, "DockerRootDir": "/var/lib/docker"},
        "/containers/json": [_container(task) for task in ran],
        "/tasks": [t for t in swarm.all("tasks") if stack in (None, t["Stack"]) and t["DesiredState"] != "remove"],
        "/volumes": {"Volumes": public["volumes"]},
        "/services": [s for s in public["services"] if stack in (None, s["Spec"]["Labels"].get(NAMESPACE))],
        "/networks": [n for n in public["networks"] if stack in (None, n["Labels"].get(NAMESPACE))],
    }
    if path.startswith("/containers/") and path not in answers:
        return _inspected(swarm.state["tasks"].get(path.split("/")[2]))
    return answers.get(path, public.get(path.strip("/")))


def _inspected(task: Item | None) -> Item | None:
    sick = {"Health": {"Status": "unhealthy", "Log": [{"ExitCode": 1, "Output": ""}]}}
    return None if task is None else {"State": sick if task.get("Unhealthy") else {}}


class _Quiet(BaseHTTPRequestHandler):
    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    @override
    def address_string(self) -> str:
        return "local"

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Send an answer."""
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)


class Engine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The socket that docker and curl talk to."""

    daemon_threads = True

    def __init__(self, swarm: Swarm) -> None:
        """Listen."""
        Path(SOCKET).unlink(missing_ok=True)
        cli = Cli(swarm)

        class Handler(_Quiet):
            def do_GET(self) -> None:
                with swarm.lock:
                    found = answer(swarm, self.path)
                    body = json.dumps(found).encode()
                self.reply(200 if found is not None else 404, body)

            def do_POST(self) -> None:
                question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                code, out, err = cli.answer(question)
                said = {"code": code, "out": base64.b64encode(out).decode(), "err": base64.b64encode(err).decode()}
                self.reply(200, json.dumps(said).encode())

        super().__init__(SOCKET, Handler)


def page(swarm: Swarm, host: str, path: str) -> tuple[int, bytes, dict[str, str]]:
    """Return what the app at a host name answers: status, body, headers."""
    task = _task_of(swarm, host, path)
    if task is None:
        return 404, b"404 page not found\n", {}
    spec = task["Spec"]["ContainerSpec"]
    text = "".join(
        swarm.state["configs"][c["Name"]]["Text"] for c in spec["Configs"] if c["Name"] in swarm.state["configs"]
    )
    headers = dict(re.findall(r"add_header (\S+) ([^;]+);", text))
    if match := re.search(r"return (\d{3});", text):
        return int(match[1]), b"", headers
    root = next((containers.data_of(v) for v, target in swarm.volumes_of(task) if target == containers.NGINX), None)
    if root is None:
        return 200, f"{spec['Image']}\n".encode(), headers
    file = root / (path.strip("/") or "index.html")
    if not file.is_file():
        return (404, b"not found\n", headers) if path != "/" else (403, b"forbidden\n", headers)
    return 200, file.read_bytes(), headers


def _task_of(swarm: Swarm, host: str, path: str) -> Item | None:
    for service in swarm.all("services"):
        rules = [v for k, v in service["Spec"]["Labels"].items() if k.endswith(".rule") and f"`{host}`" in v]
        paths = [match for rule in rules for match in re.findall(r"Path\(`([^`]+)`\)", rule)]
        if rules and (not paths or path in paths):
            running = [t for t in swarm.tasks_of(service["ID"]) if t["Status"]["State"] == "running"]
            return running[-1] if running else None
    return None


class Proxy:
    """Listens on port 443 as long as a container of traefik runs."""

    def __init__(self, swarm: Swarm) -> None:
        """Remember whose apps these are."""
        self.swarm = swarm
        self._server: ThreadingHTTPServer | None = None

    def run(self) -> None:
        """Go on for ever."""
        while True:
            with self.swarm.lock:
                tasks = [t for t in self.swarm.all("tasks") if t["Status"]["State"] == "running"]
            up = any(t["Spec"]["ContainerSpec"]["Image"].startswith("traefik:") for t in tasks)
            if up and self._server is None:
                self._server = self._listen()
            elif not up and self._server is not None:
                self._server.shutdown()
                self._server.server_close()
                self._server = None
            time.sleep(0.02)

    def _listen(self) -> ThreadingHTTPServer:
        swarm = self.swarm

        class Handler(_Quiet):
            def do_GET(self) -> None:
                with swarm.lock:
                    status, body, headers = page(swarm, self.headers.get("Host", ""), urlsplit(self.path).path)
                self.reply(status, body, headers)

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(KEYS / "cert.pem", KEYS / "cert.key")
        server = ThreadingHTTPServer(("127.0.0.1", 443), Handler)
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return server


def _for_ever(work: Callable[[], None]) -> None:
    """Do one part of the engine's work; an engine that lost a part must not seem to live."""
    try:
        work()
    finally:
        traceback.print_exc()
        os._exit(70)


def main() -> None:
    """Be the engine until killed."""
    swarm = Swarm()
    for work in (swarm.run, Proxy(swarm).run):
        threading.Thread(target=_for_ever, args=(work,), daemon=True).start()
    Engine(swarm).serve_forever()


if __name__ == "__main__":
    main()
