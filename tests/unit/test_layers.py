"""A folder is a layer: imports go one way only, and what is dangerous has one home."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import ccci

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "ccci"
BASE = {"errors", "paths", "model", "settings"}

# What each layer may import, besides itself. `ccci` is the package's own list of names.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "paths": set(),
    "model": {"errors", "paths"},
    "settings": {"errors", "paths", "model"},
    "events": {"model"},
    "commands": {"errors", "paths", "model"},
    "connector": {"errors"},
    "clients": {"errors", "model"},
    "facts": {*BASE, "commands"},
    "operations": {*BASE, "clients", "commands", "facts"},
    "testing": {"errors", "model"},
    "engine": {*BASE, "events", "commands", "connector", "facts", "operations", "testing"},
    "steps": {*BASE, "events", "clients", "commands", "facts", "operations", "engine", "testing"},
    "bridge": {*BASE, "clients"},
    "hosting": {*BASE, "facts", "operations", "engine", "steps"},
    "report": {*BASE, "engine", "facts", "steps"},
    "cli": {*BASE, "events", "clients", "facts", "engine", "steps", "hosting", "report", "ccci"},
    "api": {"errors", "model"},
    "lab": {"errors", "paths", "model", "commands"},
    "__main__": {"cli"},
    "ccci": {"api", "engine", "model", "steps"},  # loads its names when they are first used
}
# Single imports against the stream, each with its reason.
ALLOWED = {
    ("ccci.engine.loader", "ccci.steps.head"): "finds out what a run needs, before its playbook takes over",
    ("ccci.engine.loader", "ccci.steps.localtests"): "brings the tests of a pull request, if they may run",
    ("ccci.engine.loader", "ccci.steps.recover"): "clears up after runs that died, before anything else",
    ("ccci.engine.loader", "ccci.steps.registry"): "finds the canonical",
    ("ccci.engine.operator", "ccci.steps.registry"): "the same for an operator's verb",
    ("ccci.engine.loader", "ccci"): "asks where the package lies",
    ("ccci.hosting.bundle", "ccci"): "asks where the package lies",
    ("ccci.cli.lab", "ccci.lab.browser"): "the lab's own verbs",
    ("ccci.cli.lab", "ccci.lab.core"): "the lab's own verbs",
    ("ccci.cli.lab", "ccci.lab.state"): "the lab's own verbs",
    ("ccci.lab.__main__", "ccci.cli.lab"): "python -m ccci.lab is the verb without the rest",
}
SHELLS = {
    "shlex": {
        "ccci.commands.shell": "the one place that quotes for the host",
        "ccci.model.backup": "reads the words of a hook",
        "ccci.cli.lab": "shows a command to paste",
        "ccci.lab.building": "scripts of the lab's image",
        "ccci.lab.state": "shows a command to paste",
    },
    "subprocess": {
        "ccci.api": "play() of programs is a process of its own, since gevent patches it",
        "ccci.hosting.bundle": "pip of this machine",
        "ccci.lab.process": "docker and git of this machine",
        "ccci.lab.browser": "a browser of this machine",
        "ccci.lab.images.traefik": "builds an image on this machine",
    },
    "socket": {
        "ccci.connector": "sets TCP_NODELAY",
        "ccci.engine.session": "this machine's name, for the holder of a lock",
        "ccci.engine.testrunner": "the channel to the test process",
        "ccci.testing.plugin": "the other end of it",
        "ccci.lab.container": "finds a free port",
    },
    "gevent.subprocess": {
        "ccci.engine.children": "runs of ccci side by side, each a process of this machine",
        "ccci.engine.testrunner": "pytest, a process of this machine",
    },
    "paramiko": {"ccci.connector": "pyinfra's SSH library"},
}
LAB_WORDS = {
    "ccci/settings.py": "the name of the default host, and the hint where to get one",
    "ccci/cli/doctor.py": "the hint where to get a host",
    "ccci/cli/lab.py": "the lab's own verbs",
    "ccci/cli/main.py": "adds them",
}


def modules() -> dict[str, Path]:
    """Return the package's modules by name; the recipes of the lab are data."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found[name] = path
    return found


MODULES = modules()


def imports_of(path: Path) -> Iterator[str]:
    """Yield all that a file imports at any depth, modules as modules."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative imports hide where they go"
            base = node.module or ""
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield full if full in MODULES or base == "gevent" else base


def layer(module: str) -> str:
    """Return the layer of a module of ours."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "ccci"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_go_one_way(name: str) -> None:
    """A module imports what lies below it, or what the list of exceptions names with a reason."""
    for target in sorted(set(imports_of(MODULES[name]))):
        if target.split(".")[0] != "ccci" or layer(target) == layer(name) or (name, target) in ALLOWED:
            continue
        assert layer(target) in MAY_IMPORT[layer(name)], f"{name} imports {target}"


def test_every_exception_is_still_needed() -> None:
    """An exception that nobody uses any more goes."""
    for name, target in ALLOWED:
        assert target in set(imports_of(MODULES[name])), f"{name} does not import {target} any more"


@pytest.mark.parametrize("library", sorted(SHELLS))
def test_dangerous_modules_have_few_homes(library: str) -> None:
    """Quoting, processes and sockets appear in the named files and nowhere else, and in all of those."""
    users = {
        name
        for name, path in MODULES.items()
        if any(target == library or target.startswith(f"{library}.") for target in imports_of(path))
    }
    assert users == set(SHELLS[library])


def test_pure_layers_import_no_machinery() -> None:
    """Values and paths know neither hosts nor connections, so they are tested without any."""
    machinery = {"pyinfra", "paramiko", "gevent", "subprocess", "socket", "requests", "click", "rich"}
    for name, path in MODULES.items():
        if layer(name) in {*BASE, "events"}:
            assert not machinery & {target.split(".")[0] for target in imports_of(path)}, name


def test_no_shell_is_started_through_python() -> None:
    """os.system, os.popen and shell=True are nowhere in the product."""
    for path in MODULES.values():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.keyword):
                assert node.arg != "shell", path
            if isinstance(node, ast.Attribute):
                assert node.attr not in {"system", "popen", "spawnl", "execl"}, path


def test_known_good_is_moved_by_one_function() -> None:
    """A canonical's record is made in `commit_known_good` alone; all else that changes one keeps its known-good."""
    makers = set()
    for name, path in MODULES.items():
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
            if isinstance(function, ast.FunctionDef) and any(
                isinstance(call.func, ast.Name) and call.func.id == "CanonicalRecord" for call in calls
            ):
                makers.add(f"{name}.{function.name}")
            for call in calls:
                if isinstance(call.func, ast.Attribute) and call.func.attr == "evolve":
                    assert not {"snapshot", "version", "commit"} & {keyword.arg for keyword in call.keywords}, name
    assert makers == {"ccci.steps.promote.commit_known_good"}


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks").glob("*.py")), ids=lambda path: str(path.name))
def test_playbooks_use_public_names_only(path: Path) -> None:
    """A playbook imports from `ccci` itself, and only what it lists."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ccci":
            assert node.module == "ccci"
            assert {alias.name for alias in node.names} <= set(ccci.__all__)
        elif isinstance(node, ast.Import):
            assert not any(alias.name.startswith("ccci") for alias in node.names)


def test_nothing_knows_that_a_host_is_a_lab() -> None:
    """Outside of the lab's own files the word appears where a person is told of it, nowhere else."""
    told = {
        path.relative_to(ROOT).as_posix()
        for path in MODULES.values()
        if PACKAGE / "lab" not in path.parents and re.search(r"\blab\b", path.read_text("utf-8"), re.IGNORECASE)
    }
    assert told <= set(LAB_WORDS)
