"""The fake's command line: the words of `docker` that ccci and its tests use, and no others."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.fakehost import containers
from tests.support.fakehost.compose import NAMESPACE, Refused, Stack, read
from tests.support.fakehost.swarm import Swarm, new_id

Item = dict[str, Any]
Answer = tuple[int, bytes, bytes]


def _options(words: list[str], *, pairs: tuple[str, ...]) -> tuple[dict[str, list[str]], list[str]]:
    """Split words into options, of which `pairs` take a value, and the rest."""
    found: dict[str, list[str]] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        if word in pairs:
            found.setdefault(word, []).append(left.pop(0))
        elif word.startswith("-") and word != "-":
            found.setdefault(word, []).append("")
        else:
            return found, [word, *left]
    return found, []


class Cli:
    """Runs one command after the other on a Swarm."""

    def __init__(self, swarm: Swarm) -> None:
        """Remember it."""
        self.swarm = swarm
        self.verbs: dict[tuple[str, ...], Callable[[list[str], Item], str]] = {
            ("stack", "deploy"): self._deploy,
            ("stack", "rm"): self._stack_rm,
            ("stack", "ps"): self._stack_ps,
            ("volume", "create"): self._volume_create,
            ("volume", "rm"): self._volume_rm,
            ("volume", "inspect"): self._volume_inspect,
            ("secret", "create"): self._secret_create,
            ("secret", "inspect"): self._secret_inspect,
            ("secret", "rm"): lambda words, _: self._removed("secrets", words),
            ("config", "rm"): lambda words, _: self._removed("configs", words),
            ("image", "rm"): lambda words, _: self._removed("images", words),
            ("image", "inspect"): self._image_inspect,
            ("image", "add"): self._image_add,
            ("service", "logs"): self._logs,
            ("service", "inspect"): self._service_inspect,
            ("network", "create"): self._network_create,
            ("rm",): self._rm,
            ("ps",): self._ps,
            ("pull",): self._pull,
            ("version",): lambda _, __: "fake\n",
            ("info",): lambda _, __: "fake\n",
        }

    def answer(self, question: Item) -> Answer:
        """Run a command and return exit code, output and errors."""
        words = question["argv"]
        if words[:1] == ["exec"]:
            return self._exec(words[1:], base64.b64decode(question["stdin"]))
        verb = next((v for v in self.verbs if tuple(words[: len(v)]) == v), None)
        if verb is None:
            return 125, b"", f"the fake docker does not know {words}\n".encode()
        with self.swarm.lock:
            try:
                return 0, self.verbs[verb](words[len(verb) :], question).encode(), b""
            except Refused as error:
                return 1, b"", f"{error}\n".encode()

    def _deploy(self, words: list[str], question: Item) -> str:
        options, [name] = _options(words, pairs=("-c", "--resolve-image"))
        try:
            stack = Stack(name, read(options["-c"], question["cwd"], question["env"]), question["cwd"])
        except (OSError, KeyError, TypeError) as error:
            raise Refused(f"the compose files cannot be read: {error!r}") from error
        state = self.swarm.state
        self._check_external(stack)
        for real in stack.names("networks", external=False).values():
            state["networks"].setdefault(real, {"Name": real, "Id": new_id(), "Labels": {NAMESPACE: name}})
        for key, real in stack.names("configs", external=False).items():
            self._config(name, real, stack.content("configs", key))
        gone = [s for s in self.swarm.all("services") if s["Spec"]["Labels"].get(NAMESPACE) == name]
        for service in gone if "--prune" in options else ():
            if service["Spec"]["Name"] not in stack.services:
                self.swarm.remove_service(service["ID"])
        for spec in stack.services.values():
            self.swarm.put_service(spec)
        return ""

    def _check_external(self, stack: Stack) -> None:
        for key, real in stack.names("networks", external=True).items():
            if real not in self.swarm.state["networks"]:
                raise Refused(f'network "{key}" is declared as external, but could not be found')
        for real in stack.names("secrets", external=True).values():
            if real not in self.swarm.state["secrets"]:
                raise Refused(f"service {stack.name}_app: secret not found: {real}")

    def _config(self, stack: str, name: str, text: str) -> None:
        known = self.swarm.state["configs"]
        if name in known and known[name]["Text"] != text:
            why = "rpc error: code = InvalidArgument desc = only updates to Labels are allowed"
            raise Refused(f"failed to update config {name}: {why}")
        known.setdefault(name, {"ID": new_id(), "Text": text, "Spec": {"Name": name, "Labels": {NAMESPACE: stack}}})

    def _stack_rm(self, words: list[str], _: Item) -> str:
        [name], state = words, self.swarm.state
        for service in self.swarm.all("services"):
            if service["Spec"]["Labels"].get(NAMESPACE) == name:
                self.swarm.remove_service(service["ID"])
        for kind in ("networks", "configs", "secrets"):
            for key, item in list(state[kind].items()):
                if (item.get("Labels") or item.get("Spec", {}).get("Labels") or {}).get(NAMESPACE) == name:
                    del state[kind][key]
        self.swarm.save()
        return ""

    def _stack_ps(self, words: list[str], _: Item) -> str:
        tasks = [t for t in self.swarm.all("tasks") if t["Stack"] == words[-1] and t["DesiredState"] == "running"]
        return "".join(f"{t['ID']}\n" for t in tasks)

    def _volume_create(self, words: list[str], _: Item) -> str:
        options, [name] = _options(words, pairs=("--driver", "--label", "--opt"))
        pairs = [dict(w.partition("=")[::2] for w in options.get(key, [])) for key in ("--label", "--opt")]
        try:
            self.swarm.put_volume(name, *pairs)
        except OSError as error:
            raise Refused(f"Error response from daemon: {error}") from error
        return f"{name}\n"

    def _volume_rm(self, words: list[str], _: Item) -> str:
        for name in words:
            if name not in self.swarm.state["volumes"]:
                raise Refused(f"Error: No such volume: {name}")
            if self.swarm.in_use(name):
                raise Refused(f"Error response from daemon: remove {name}: volume is in use - [fake]")
            shutil.rmtree(containers.VOLUMES / name)
            del self.swarm.state["volumes"][name]
        self.swarm.save()
        return ""

    def _volume_inspect(self, words: list[str], _: Item) -> str:
        if words[-1] not in self.swarm.state["volumes"]:
            raise Refused(f"Error: No such volume: {words[-1]}")
        return f"{self.swarm.state['volumes'][words[-1]]['Mountpoint']}\n"

    def _secret_create(self, words: list[str], question: Item) -> str:
        options, [name, _] = _options(words, pairs=("--label",))
        if name in self.swarm.state["secrets"]:
            raise Refused(f"rpc error: code = AlreadyExists desc = secret {name} already exists")
        labels = dict(w.partition("=")[::2] for w in options.get("--label", []))
        value = base64.b64decode(question["stdin"]).decode()
        self.swarm.state["secrets"][name] = {"ID": new_id(), "Value": value, "Spec": {"Name": name, "Labels": labels}}
        self.swarm.save()
        return f"{name}\n"

    def _removed(self, kind: str, names: list[str]) -> str:
        for name in names:
            if self.swarm.state[kind].pop(name, None) is None:
                raise Refused(f"Error: No such {kind[:-1]}: {name}")
        self.swarm.save()
        return ""

    def _secret_inspect(self, words: list[str], _: Item) -> str:
        if words[0] not in self.swarm.state["secrets"]:
            raise Refused(f"Error: No such secret: {words[0]}")
        return "[]\n"

    def _image_inspect(self, words: list[str], _: Item) -> str:
        if words[0] not in self.swarm.state["images"]:
            raise Refused(f"Error: No such image: {words[0]}")
        return "[]\n"

    def _image_add(self, words: list[str], _: Item) -> str:
        self.swarm.state["images"].update({name: {} for name in words})
        self.swarm.save()
        return ""

    def _pull(self, words: list[str], _: Item) -> str:
        raise Refused(f"Error response from daemon: manifest for {words[-1]} not found: manifest unknown")

    def _network_create(self, words: list[str], _: Item) -> str:
        self.swarm.state["networks"][words[-1]] = {"Name": words[-1], "Id": new_id(), "Labels": {}}
        self.swarm.save()
        return ""

    def _logs(self, words: list[str], _: Item) -> str:
        return f"(a line of {words[-1]})\n"

    def _service_inspect(self, words: list[str], _: Item) -> str:
        found = [s for s in self.swarm.all("services") if s["Spec"]["Name"] == words[-1]]
        if not found:
            raise Refused(f"Error: no such service: {words[-1]}")
        labels = found[0]["Spec"]["Labels"]
        wanted = [word for word in " ".join(words).split('"') if word in labels]
        return f"{labels[wanted[0]] if wanted else ''}\n"

    def _rm(self, words: list[str], _: Item) -> str:
        for name in (word for word in words if not word.startswith("-")):
            task = self.swarm.state["tasks"].get(name)
            if task is None or task["Status"]["State"] == "running":
                raise Refused(f"Error: No such container, or it runs: {name}")
            task["DesiredState"] = "remove"
        return ""

    def _ps(self, words: list[str], _: Item) -> str:
        wanted = next((w.rpartition("=")[2] for w in words if "service.name=" in w), "")
        running = [t for t in self.swarm.all("tasks") if t["Status"]["State"] == "running"]
        return "".join(f"{t['ID']}\n" for t in running if t["Name"].startswith(wanted))

    def _exec(self, words: list[str], stdin: bytes) -> Answer:
        _, [name, *inner] = _options(words, pairs=())
        with self.swarm.lock:
            task = self.swarm.state["tasks"].get(name)
            if task is None or task["Status"]["State"] != "running":
                return 1, b"", f"Error: No such container: {name}\n".encode()
            run = containers.command({"ID": new_id()}, self.swarm.binds_of(task), inner)
        done = subprocess.run(run, input=stdin, capture_output=True, check=False)
        Path(run[run.index("-") + 1]).rmdir()
        return done.returncode, done.stdout, done.stderr
