"""The policy: what reaches out of a recipe's own containers, names and domain is refused, all of it at once."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccci.errors import CcciError, ComposeError, PolicyRefused, RecipeMetaError, UsageError
from ccci.model.app import cold_app
from ccci.model.deployment import Place, app_env, plan
from ccci.model.enrolment import find_recipe, refuse_providers_domain
from ccci.model.exceptions import KINDS, Exceptions, is_exception
from ccci.model.policy import FAULTS_SHOWN, SERVICES_MAX, seconds_of
from ccci.model.recipe import load_meta
from ccci.model.routing import is_confined
from ccci.model.run import Release

ROOT = Path(__file__).parents[2]
APP = cold_app("hostile", "abc123", "ci.lab.test")
RELEASE = Release("1" * 40, "1.0.0+1", released=True)
BASE: dict[str, Any] = {"version": "3.8", "services": {"app": {"image": "nginx", "networks": ["proxy"]}}}
BASE["networks"] = {"proxy": {"external": True}}
DOMAIN, STACK = APP.domain, APP.stack


def compose(service: dict[str, Any] | None = None, **tops: Any) -> dict[str, Any]:
    """Return a compose file with more in its service `app`, and more at its top."""
    content = {**BASE, **tops, "services": {**BASE["services"], **tops.get("services", {})}}
    content["services"] = {**content["services"], "app": {**content["services"]["app"], **(service or {})}}
    return content


def planned(*contents: dict[str, Any], allow: tuple[str, ...] = (), files: tuple[str, ...] = ()) -> None:
    """Plan the deployment of compose files, the later ones over the first; the recipe has these other files, too."""
    tree = {f"compose{i or ''}.yml": yaml.safe_dump(content).encode() for i, content in enumerate(contents)}
    tree |= dict.fromkeys(files, b"")
    env = app_env(tree, APP, RELEASE, {"COMPOSE_FILE": ":".join(n for n in tree if n.startswith("compose"))})
    plan(tree, RELEASE, Place(APP, env, allow=Exceptions(frozenset(allow))))


def labelled(*labels: str) -> dict[str, Any]:
    """Return a compose file whose service has these labels."""
    return compose({"deploy": {"labels": list(labels)}})


ROUTER = f"traefik.http.routers.{STACK}"
FOREIGN = "warm-keycloak_ci_lab_test"

# what a recipe asks for, what the error must say, and the exception that allows it; none where nothing does
ASKED: dict[str, tuple[dict[str, Any], str, str]] = {
    "root": (compose({"volumes": ["/:/host"]}), "services.app.volumes: mounts '/'", "bind:/"),
    "socket": (compose({"volumes": ["/var/run/docker.sock:/s:ro"]}), "Docker socket", "docker-socket"),
    "socket elsewhere": (compose({"volumes": ["//var/../run/./docker.sock:/s"]}), "Docker socket", "docker-socket"),
    "socket's folder": (compose({"volumes": ["/run:/s"]}), "mounts '/run'", "bind:/run"),
    "relative": (compose({"volumes": ["../../x:/x"]}), "mounts '../../x'", "bind:../../x"),
    "home": (compose({"volumes": ["~/.ssh:/x"]}), "mounts '~/.ssh'", "bind:~/.ssh"),
    "bind": (compose({"volumes": [{"type": "bind", "source": "/etc", "target": "/e"}]}), "mounts '/etc'", "bind:/etc"),
    "npipe": (compose({"volumes": [{"type": "npipe", "source": "x", "target": "/e"}]}), "type npipe", ""),
    "no volume": (compose({"volumes": [f"{FOREIGN}_mariadb:/x"]}), "none of the volumes at the top", ""),
    "volume": (
        compose(volumes={"v": {"external": True, "name": f"{FOREIGN}_mariadb"}}),
        "is not this app's",
        f"volume:{FOREIGN}_mariadb",
    ),
    "old external": (compose(volumes={"v": {"external": {"name": "theirs"}}}), "is not this app's", "volume:theirs"),
    "taken volume": (compose(volumes={"v": {"name": f"{FOREIGN}_mariadb"}}), "volumes.v.name", ""),
    "driver_opts": (
        compose(volumes={"v": {"driver_opts": {"type": "none", "o": "bind", "device": "/"}}}),
        "volumes.v.driver_opts",
        "",
    ),
    "driver": (compose(volumes={"v": {"driver": "sshfs"}}), "volumes.v.driver", ""),
    "host network": (compose(networks={"n": {"external": True, "name": "host"}}), "host itself", "host-network"),
    "network": (compose(networks={"n": {"external": True, "name": "x_in"}}), "not this app's", "network:x_in"),
    "taken network": (compose(networks={"n": {"name": "host"}}), "networks.n.name", ""),
    "macvlan": (compose(networks={"n": {"driver": "macvlan"}}), "networks.n.driver", ""),
    "ipam": (compose(networks={"n": {"ipam": {"config": [{"subnet": "10.0.0.0/8"}]}}}), "networks.n.ipam", ""),
    "config": (compose(configs={"c": {"external": True, "name": "lab_ca"}}), "not this app's", "config:lab_ca"),
    "secret": (compose(secrets={"c": {"external": True, "name": f"{FOREIGN}_admin_v1"}}), "not this app's", ""),
    "nul": (compose(secrets={"c": {"external": True, "name": f"{STACK}_\0"}}), "letters, digits", ""),
    "shell": (compose(configs={"c": {"file": "a", "name": f"{STACK}_$(reboot)"}}), "", ""),
    "secret driver": (compose(secrets={"c": {"driver": "vault", "name": f"{STACK}_c"}}), "secrets.c.driver", ""),
    "config outside": (compose(configs={"c": {"file": "../../../etc/shadow"}}), "no plain file of the recipe", ""),
    "secret outside": (compose(secrets={"c": {"file": "/etc/shadow"}}), "no plain file of the recipe", ""),
    "env_file": (compose({"env_file": "../deploy.env"}), "no plain file of the recipe", ""),
    "env_file as a mapping": (compose({"env_file": [{"path": "/etc/shadow"}]}), "no plain file of the recipe", ""),
    "extends": (compose({"extends": {"file": "/etc/x.yml", "service": "y"}}), "services.app.extends", ""),
    "include": ({**BASE, "include": ["../x.yml"]}, "include: no part of a stack", ""),
    "network_mode": (compose({"network_mode": "host"}), "services.app.network_mode", ""),
    "pid": (compose({"pid": "host"}), "services.app.pid", ""),
    "ipc": (compose({"ipc": "host"}), "services.app.ipc", ""),
    "userns": (compose({"userns_mode": "host"}), "services.app.userns_mode", ""),
    "cgroup": (compose({"cgroup_parent": "/"}), "services.app.cgroup_parent", ""),
    "privileged": (compose({"privileged": True}), "services.app.privileged", ""),
    "privileged by a variable": (compose({"privileged": "${YES:-true}"}), "services.app.privileged", ""),
    "devices": (compose({"devices": ["/dev/sda:/dev/sda"]}), "services.app.devices", ""),
    "generic resources": (
        compose({"deploy": {"resources": {"reservations": {"generic_resources": [{"a": 1}]}}}}),
        "devices of the host",
        "",
    ),
    "capability": (compose({"cap_add": ["SYS_ADMIN"]}), "cap_add", "capability:SYS_ADMIN"),
    "sysctl": (compose({"sysctls": {"net.core.somaxconn": 1}}), "sysctls", "sysctl:net.core.somaxconn"),
    "security_opt": (compose({"security_opt": ["seccomp:unconfined"]}), "security_opt", ""),
    "the next key": (compose({"use_api_socket": True}), "services.app.use_api_socket", ""),
    "the next key of deploy": (compose({"deploy": {"host": True}}), "services.app.deploy.host", ""),
    "logging": (compose({"logging": {"driver": "syslog"}}), "services.app.logging", ""),
    "port": (compose({"ports": ["443:443"]}), "port of the host (443)", "port:443"),
    "long port": (compose({"ports": [{"target": 80, "published": 80, "mode": "host"}]}), "(80)", "port:80"),
    "any port": (compose({"ports": ["80"]}), "port of the host (any)", "port:any"),
    "grace": (compose({"stop_grace_period": "24h"}), "stop_grace_period", ""),
    "grace that is none": (compose({"stop_grace_period": "soon"}), "stop_grace_period", ""),
    "alias": (compose({"networks": {"proxy": {"aliases": ["traefik"]}}}), "alias 'traefik'", ""),
    "hostname": (compose({"hostname": "warm-keycloak.ci.lab.test"}), "services.app.hostname", ""),
    "service's name": (compose(services={f"{FOREIGN}_db": {"image": "x"}}), "looks like another app's", ""),
    "long service": (compose(services={"x" * 60: {"image": "x"}}), "63 characters", ""),
    "forged label": (compose(volumes={"v": {"labels": {"ccci.app": "x"}}}), "volumes.v.labels", ""),
    "forged stack": (labelled("com.docker.stack.namespace=x"), "labels", ""),
    "router of another": (labelled(f"{ROUTER}.rule=Host(`warm-keycloak.ci.lab.test`)"), "takes more than", ""),
    "router of all": (labelled(f"{ROUTER}.rule=PathPrefix(`/`)"), "takes more than", ""),
    "folded case": (labelled(f"Traefik.HTTP.Routers.{STACK}.Rule=PathPrefix(`/`)"), "takes more than", ""),
    "name of another": (labelled(f"traefik.http.routers.{FOREIGN}.priority=9"), "could be another app's", ""),
    "middleware of another": (labelled(f"traefik.http.middlewares.{FOREIGN}.redirectscheme.scheme=x"), "could be", ""),
    "api": (labelled(f"{ROUTER}.service=api@internal"), "is not this app's", "service:api@internal"),
    "tcp": (labelled(f"traefik.tcp.routers.{STACK}.rule=HostSNI(`*`)"), "takes more than", ""),
    "udp": (labelled(f"traefik.udp.routers.{STACK}.entrypoints=dns"), "for everybody", ""),
    "tls": (labelled("traefik.tls.stores.default.defaultgeneratedcert.resolver=x"), "for everybody", ""),
    "tasks": (compose({"deploy": {"replicas": 5000}}), "5000 tasks", ""),
    "services": (compose(services={f"s{i}": {"image": "x"} for i in range(10_000)}), "", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
def test_what_reaches_out_is_refused(name: str) -> None:
    """Each thing that a recipe may not ask for is refused, by a message that says where and what; in no time."""
    content, says, exception = ASKED[name]
    start = time.process_time()
    with pytest.raises(ComposeError) as caught:
        planned(content)
    told = f"{caught.value.what}\n{caught.value.detail or ''}"
    assert says in told
    assert caught.value.hint
    assert not exception or "allow it" in told
    assert time.process_time() - start < 20


@pytest.mark.parametrize("name", [name for name, (_, _, exception) in ASKED.items() if exception])
def test_an_exception_allows_what_it_names(name: str) -> None:
    """With its exception the same recipe is planned; with all other exceptions it is not."""
    content, _, exception = ASKED[name]
    assert is_exception(exception)
    planned(content, allow=(exception,))
    others = {e for _, _, e in ASKED.values() if e} - {exception}
    with pytest.raises(PolicyRefused):
        planned(content, allow=tuple(others))


@pytest.mark.parametrize(
    "name", [name for name, (content, says, _) in ASKED.items() if says and "include" not in content]
)
def test_a_later_file_takes_nothing_back(name: str) -> None:
    """A compose file that asks for too much is refused wherever it stands, although another one says otherwise."""
    content, _, _ = ASKED[name]
    harmless = compose({"privileged": False, "env_file": ["ok.env"], "volumes": ["v:/x"]}, volumes={"v": {}})
    with pytest.raises(ComposeError):
        planned(content, harmless, files=("ok.env",))
    with pytest.raises(ComposeError):
        planned(harmless, content, files=("ok.env",))


def test_all_faults_come_at_once() -> None:
    """Who asks for three things reads of all three, each with its file and place; a flood is cut."""
    content = compose({"privileged": True, "volumes": ["/:/x"]}, networks={"n": {"driver": "macvlan"}})
    with pytest.raises(PolicyRefused) as caught:
        planned(content)
    assert caught.value.what.endswith("in 3 places")
    lines = (caught.value.detail or "").splitlines()
    places = ("services.app.privileged", "services.app.volumes", "networks.n.driver")
    assert [[place for place in places if place in line] for line in lines] == [[place] for place in places]
    assert all(line.startswith("compose.yml: ") for line in lines)
    with pytest.raises(PolicyRefused) as caught:
        planned(compose({"cap_add": [f"CAP_{i}" for i in range(5000)]}))
    assert len((caught.value.detail or "").splitlines()) == FAULTS_SHOWN + 1
    assert (caught.value.detail or "").endswith("and 4986 more")


def test_what_stays_inside_is_allowed() -> None:
    """An ordinary recipe with much in it is planned without any exception."""
    service = {
        "volumes": ["data:/srv", "/anonymous", {"type": "tmpfs", "target": "/t"}],
        "networks": {"proxy": None, "inner": {"aliases": ["db"]}},
        "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"], "privileged": False, "devices": [],
        "env_file": "./sub/app.env", "hostname": "mail", "stop_grace_period": "1m30s", "x-note": {"pid": "host"},
        "logging": {"driver": "json-file", "options": {"max-size": "1m"}}, "ulimits": {"nofile": 1024},
        "deploy": {"placement": {"constraints": ["node.role == manager"]}, "labels": [
            "traefik.enable=true", "traefik.swarm.network=proxy", f"{ROUTER}.rule=Host(`{DOMAIN}`) && Path(`/x`)",
            f"{ROUTER}-www.rule=Host(`www.{DOMAIN}`,`{DOMAIN}`)", f"{ROUTER}.middlewares=security@file",
            f"traefik.http.services.{STACK}.loadbalancer.server.port=80",
            f"traefik.http.middlewares.{STACK}-redirect.redirectscheme.scheme=https",
        ]},
    }  # fmt: skip
    networks = {"proxy": {"external": True}, "inner": {"internal": True, "driver_opts": {"encrypted": ""}}}
    configs = {"c": {"file": "c.tmpl", "name": f"{STACK}_c_v1", "template_driver": "golang"}}
    content = compose(service, volumes={"data": {"driver": "local"}}, networks=networks, configs=configs)
    planned({**content, "x-top": 1, "name": "ignored"}, files=("sub/app.env", "c.tmpl"))


@pytest.mark.parametrize("recipe", ["custom-html", "keycloak", "private-html", "traefik"])
def test_the_labs_recipes_pass(recipe: str) -> None:
    """Every recipe of the lab is planned with the exceptions of its own enrolment."""
    folder = ROOT / "ccci" / "lab" / "recipes" / recipe / "tree"
    files = {
        p.relative_to(folder).as_posix(): p.read_bytes().replace(b"@@", b"") for p in folder.rglob("*") if p.is_file()
    }
    meta = load_meta(ROOT / "recipes" / recipe)
    app = cold_app(recipe, "abc123", "ci.lab.test")
    env = app_env(files, app, RELEASE, meta.env)
    plan(files, RELEASE, Place(app, env, allow=meta.policy))
    if recipe in {"traefik", "private-html"}:
        with pytest.raises(PolicyRefused):
            plan(files, RELEASE, Place(app, env))


@pytest.mark.parametrize(
    ("rule", "confined"),
    [
        (f"Host(`{DOMAIN}`)", True),
        (f'HOST("{DOMAIN.upper()}")', True),
        (f"Host(`{DOMAIN}`,)", True),
        (f"(Host(`{DOMAIN}`) && PathPrefix(`/a`)) || Host(`a.{DOMAIN}`)", True),
        (f"PathPrefix(`/`) && (Host(`{DOMAIN}`))", True),
        (f"!Path(`/x`) && Host(`{DOMAIN}`)", True),
        (f"Host(`{DOMAIN}`) || PathPrefix(`/`)", False),
        (f"Host(`{DOMAIN}`, `x.ci.lab.test`)", False),
        (f"!Host(`{DOMAIN}`)", False),
        (f"!(Host(`{DOMAIN}`) && Host(`{DOMAIN}`))", False),
        (f"HostRegexp(`{DOMAIN}`)", False),
        (f"Host(`evil-{DOMAIN}`)", False),
        (f"Host(`{DOMAIN}`", False),
        (f"Host(`{DOMAIN}`))", False),
        (f"Host(`{DOMAIN}`) PathPrefix(`/`)", False),
        (f"Host({DOMAIN})", False),
        ("Host()", False),
        ("", False),
        ("(" * 5000, False),
        ("!" * 5000, False),
    ],
)
def test_a_rule_is_confined_to_the_apps_domain(rule: str, confined: bool) -> None:
    """A rule is the app's own only if every way to match it names the app's host; what cannot be read is not."""
    assert is_confined(rule, DOMAIN) is confined


@given(
    st.lists(
        st.sampled_from(["Host(`", DOMAIN, "`)", "&&", "||", "!", "(", ")", "PathPrefix(`/`)", ",", " ", "\n"]),
        max_size=14,
    )
)
def test_no_rule_confuses_the_reader(parts: list[str]) -> None:
    """Whatever the rule, the answer is yes or no; yes never for one without the app's host."""
    rule = "".join(parts)
    assert not is_confined(rule, DOMAIN) or f"Host(`{DOMAIN}`" in rule


@pytest.mark.parametrize(
    "allow",
    ['["root"]', '["bind"]', '["bind:etc"]', '["port:0"]', '["docker-socket:x"]', '["capability:sys_admin"]', "[1]",
     '"docker-socket"', '["port:80", "port:80"]', '["secret:x"]'],
)  # fmt: skip
def test_exceptions_that_the_policy_does_not_know_are_refused(tmp_path: Path, allow: str) -> None:
    """A misspelt exception is a fault of recipe_meta.toml, whose message lists the kinds there are."""
    folder = tmp_path / "gitea"
    folder.mkdir()
    (folder / "recipe_meta.toml").write_text(f"[policy]\nallow = {allow}\n", "utf-8")
    with pytest.raises(RecipeMetaError, match=r"policy\.allow must be a list of different exceptions: bind:…"):
        load_meta(folder)


def test_every_kind_of_exception_is_documented() -> None:
    """docs/security.md has each kind in its table of exceptions."""
    text = (ROOT / "docs" / "security.md").read_text("utf-8")
    assert [kind for kind in KINDS if f"`{kind}`" not in text and f"`{kind}:" not in text] == []
    assert f"{SERVICES_MAX} services" in text


def test_names_that_the_cut_makes_one_are_refused(tmp_path: Path) -> None:
    """Two recipes whose canonicals would be one stack are not run; other long names are."""
    for name in ("a" * 50, "a" * 49 + "b", "c" * 50):
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe_meta.toml").write_text("", "utf-8")
    with pytest.raises(UsageError, match="would be one stack"):
        refuse_providers_domain(find_recipe("a" * 50, tmp_path), "ci.lab.test", tmp_path)
    refuse_providers_domain(find_recipe("c" * 50, tmp_path), "ci.lab.test", tmp_path)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1m30s", 90.0), ("100s", 100.0), ("1.5h", 5400.0), ("10ms", 0.01), ("", None), ("10", None), ("-1s", None)],
)
def test_durations_are_those_of_go(text: str, seconds: float | None) -> None:
    """A duration is read as docker reads it, and nothing else is taken for one."""
    assert seconds_of(text) == seconds


WORDS = st.sampled_from(
    [
        "/",
        "host",
        "../x",
        "$(reboot)",
        "'",
        '"',
        "\n",
        "\0",
        "a:b",
        "v",
        "traefik.http.routers.x.rule=",
        "true",
        "443:443",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | WORDS
# fmt: off
KEYS = st.sampled_from([
    "volumes", "networks", "ports", "configs", "secrets", "env_file", "labels", "deploy", "logging", "aliases",
    "external", "name", "file", "driver", "driver_opts", "privileged", "cap_add", "sysctls", "security_opt",
    "stop_grace_period", "hostname", "resources", "ipam", "type", "source", "target", "extends", "v", "n",
])
# fmt: on
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(KEYS, TREES, max_size=4), st.dictionaries(KEYS, TREES, max_size=3), KEYS)
def test_only_our_error_whatever_a_recipe_says(service: dict[str, Any], definition: dict[str, Any], key: str) -> None:
    """Whatever is in a compose file, planning it ends with one of our errors or a plan."""
    tops = {section: {key: definition} for section in ("volumes", "networks", "configs", "secrets")}
    with contextlib.suppress(CcciError):
        planned(compose(service, **tops))
