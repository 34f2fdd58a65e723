"""Settings."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
import tomli

from ccci import settings
from ccci.engine.connect import inventory_groups
from ccci.errors import SettingsError
from ccci.model.bridge import BridgeOptions
from ccci.model.optiontable import options
from ccci.settings import Host, Settings, load

EXAMPLE = Path(__file__).parents[2] / "docs" / "settings.example.toml"
BRIDGE = """
[bridge]
forge = "https://git.example.org"
forge_token = "f"
webhook_secret = "w"
drone = "https://drone.example.org"
drone_token = "d"
drone_repository = "ci/ccci"
repositories = ["o/custom-html"]
"""
HOST = 'address = "ci.example.org"\nbase_domain = "ci.example.org"\n'


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, with an empty state folder."""
    home = tmp_path / "home"
    (home / "hosts").mkdir(parents=True)
    monkeypatch.setenv("CCCI_HOME", str(home))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def empty() -> dict[str, str]:
    """Return an environment in which no settings file can be found."""
    return {"XDG_CONFIG_HOME": str(Path.cwd() / "none")}


def test_defaults() -> None:
    """Without any source there are defaults, and the host is the lab."""
    found = load(environ=empty())
    assert (found.host, dict(found.hosts), found.fork) == ("lab", {}, "auto")
    assert (found.connect_timeout, found.keepalive, found.dead_after) == (10, 15, 30)
    assert (found.gate_timeout, found.playbooks) == (None, None)
    assert found.results == Path.cwd().parent / "home" / "runs"
    assert found.recipes == Path(settings.__file__).parents[1] / "recipes"


def test_example_is_complete_and_loads() -> None:
    """The documented example loads, and names every option and its environment variable."""
    text = EXAMPLE.read_text("utf-8")
    content = tomli.loads(text)
    host, bridge = content.pop("hosts")["ci"], content.pop("bridge")
    assert set(content) == {option.name for option in options(Settings)}
    assert set(host) == {option.name for option in options(Host)}
    assert set(bridge) == {option.name for option in options(BridgeOptions)}
    assert all(option.metadata["env"] in text for option in options(Settings))
    found = load(file=EXAMPLE, environ={})
    assert found.get_host().key == EXAMPLE.parent / "keys" / "ci"
    for field in attrs.fields(Settings):
        if isinstance(field.default, float):
            assert content[field.name] == field.default
    for field in attrs.fields(BridgeOptions):
        if isinstance(field.default, float | int):
            assert bridge[field.name] == field.default


def test_every_option_says_what_it_is() -> None:
    """Each option has a help text, and each setting its own variable."""
    every = (*options(Host), *options(Settings), *options(BridgeOptions))
    assert all(option.metadata["help"] for option in every)
    variables = [option.metadata["env"] for option in options(Settings)]
    assert len(set(variables)) == len(variables)
    assert all(variable.startswith("CCCI_") or variable == "MAX_TESTS" for variable in variables)


def test_ranks(elsewhere: Path) -> None:
    """A flag beats the environment, which beats the file, which beats the default."""
    (elsewhere / "ccci.toml").write_text("keepalive = 1\ndead_after = 2\nconnect_timeout = 3\n")
    environ = {"CCCI_KEEPALIVE": "4", "CCCI_DEAD_AFTER": "50", "CCCI_FORK": ""}
    found = load(environ=environ, flags={"keepalive": 6.5, "fork": None})
    assert (found.keepalive, found.dead_after, found.connect_timeout) == (6.5, 50, 3)
    assert (found.gate_timeout, found.fork) == (None, "auto")


def test_places_of_the_file(elsewhere: Path) -> None:
    """The file is the named one, else the folder's, else the user's."""
    for place, host in (("flag.toml", "a"), ("variable.toml", "b"), ("config/ccci/ccci.toml", "d")):
        (elsewhere / place).parent.mkdir(parents=True, exist_ok=True)
        (elsewhere / place).write_text(f'host = "{host}"\n')
    environ = {"XDG_CONFIG_HOME": str(elsewhere / "config")}
    assert load(environ=environ).host == "d"
    (elsewhere / "ccci.toml").write_text('host = "c"\n')
    assert load(environ=environ).host == "c"
    environ["CCCI_SETTINGS"] = "variable.toml"
    assert load(environ=environ).host == "b"
    assert load(file=Path("flag.toml"), environ=environ).host == "a"
    with pytest.raises(SettingsError, match=r"missing\.toml"):
        load(file=Path("missing.toml"), environ={})


def test_relative_paths(elsewhere: Path) -> None:
    """A path is relative to the file that names it, and to the current folder from anywhere else."""
    folder = elsewhere / "etc"
    folder.mkdir()
    (folder / "x.toml").write_text('results = "r"\nplaybooks = "../p"\n')
    found = load(file=folder / "x.toml", environ={"CCCI_RECIPES": "q"})
    assert (found.results, found.playbooks, found.recipes) == (folder / "r", elsewhere / "p", elsewhere / "q")


def test_default_folder_of_recipes(elsewhere: Path) -> None:
    """Recipes beside the settings file win over those in the current folder."""
    (elsewhere / "recipes").mkdir()
    folder = elsewhere / "etc"
    (folder / "recipes").mkdir(parents=True)
    (folder / "x.toml").write_text("")
    assert load(environ=empty()).recipes == elsewhere / "recipes"
    assert load(file=folder / "x.toml", environ={}).recipes == folder / "recipes"


def test_hosts_come_from_both_places(elsewhere: Path) -> None:
    """Hosts with a file of their own are known as well, and the settings file wins."""
    own = elsewhere.parent / "home" / "hosts"
    (own / "lab.toml").write_text(HOST + 'key = "id"\nport = 2222\n')
    assert load(environ=empty()).get_host().key == own / "id"
    assert load(environ=empty()).get_host("lab").name == "lab"
    (elsewhere / "ccci.toml").write_text(f"[hosts.ci]\n{HOST}[hosts.lab]\n{HOST}port = 7\n")
    found = load(environ=empty())
    assert (found.host, found.hosts["lab"].port, found.hosts["lab"].key) == ("lab", 7, None)
    assert sorted(found.hosts) == ["ci", "lab"]


def test_hosts_of_a_group_share_the_night(elsewhere: Path) -> None:
    """Hosts of one group share it; one in no group but `all` has its own; `night_hosts` says more than the group."""
    tables = "".join(f"[hosts.{name}]\n{HOST}group = '{group}'\n" for name, group in zip("abcd", "xxyy", strict=True))
    (elsewhere / "ccci.toml").write_text(f"{tables}[hosts.e]\n{HOST}[hosts.f]\n{HOST}")
    found = load(environ={})
    assert [found.night_group(name) for name in "abce"] == [("a", "b"), ("a", "b"), ("c", "d"), ("e",)]
    assert load(environ={"CCCI_NIGHT_HOSTS": "e,z"}).night_group("e") == ("e", "z")
    groups = inventory_groups(found)
    assert {group: [name for name, _ in hosts] for group, hosts in groups.items()} == {
        "x": ["@ccci/a", "@ccci/b"],
        "y": ["@ccci/c", "@ccci/d"],
    }


def test_one_host_is_the_default(elsewhere: Path) -> None:
    """Who knows one host need not name it."""
    (elsewhere / "ccci.toml").write_text(f"[hosts.ci]\n{HOST}")
    assert load(environ={}).get_host().name == "ci"


def test_unknown_host(elsewhere: Path) -> None:
    """An unknown host is refused with the known ones, or with the way to a first one."""
    with pytest.raises(SettingsError) as caught:
        load(environ=empty()).get_host()
    assert "ccci lab up" in (caught.value.hint or "")
    (elsewhere / "ccci.toml").write_text(f"[hosts.ci]\n{HOST}")
    with pytest.raises(SettingsError, match="known: ci"):
        load(environ={}).get_host("x\x1b[0m")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("x = 1", "'x' is unknown"),
        ("hosts = 1", "hosts must be tables"),
        ("fork = 'on'", "fork must be 'auto' or 'off'"),
        ("keepalive = true", "keepalive must be a number"),
        ("keepalive = 'a'", "keepalive must be a number"),
        ("keepalive = nan", "keepalive must be a number"),
        ("keepalive = 60", "dead_after (30) must be more than keepalive (60)"),
        ("max_tests = 0", "max_tests must be a whole number from 1 to 32"),
        ("max_tests = 1.5", "max_tests must be a whole number"),
        ("max_tests = true", "max_tests must be a whole number"),
        ("disk_floor = -1", "disk_floor must be a number of gigabytes"),
        ("night_max_age = 'x'", "night_max_age must be a number of hours"),
        ("night_hosts = ['a', 'a']", "night_hosts must be a list of different names"),
        ("night_hosts = [3]", "night_hosts must be a list of names of hosts"),
        ("results = ''", "results must be a path"),
        ("results = 3", "results must be a path"),
        ("host = '-x'", "host must be a name"),
        ("[hosts.ci]\naddress = 'a'", "base_domain is missing"),
        (f"[hosts.ci]\n{HOST}port = 0", "port must be a number"),
        (f"[hosts.ci]\n{HOST}port = '22'", "port must be a number"),
        (f"[hosts.ci]\n{HOST}user = '-oX'", "user must be the name of a user"),
        (f"[hosts.ci]\n{HOST}forge = 'https://x/y.git'", "forge must be"),
        (f"[hosts.ci]\n{HOST}forge = 'ext::sh {{recipe}}'", "forge must be"),
        (f"[hosts.ci]\n{HOST}password = 'x'", "'password' is unknown"),
        ("[hosts.ci]\naddress = '-oProxyCommand=x'\nbase_domain = 'a.b'", "address must be"),
        ("[hosts.ci]\naddress = 'a'\nbase_domain = 'a'", "base_domain must be"),
        ("[hosts.'a/b']\n" + HOST, "must be a name"),
        ("hosts.ci = 3", "'ci' must be a name"),
        ("x = [", "ccci.toml"),
        ("bridge = 3", "must be a table [bridge]"),
        ("[bridge]", "forge_token is missing"),
        (BRIDGE, "organisation or allow must say"),
        (f"{BRIDGE}allow = ['a', 'a']", "allow must be a list of users, none twice"),
        (f"{BRIDGE}allow = ['a/b']", "allow must be a list of users"),
        (f"{BRIDGE}allow = 'anna'", "allow must be a list of users"),
        (f"{BRIDGE}organisation = ''", "organisation must be a name"),
        (f"{BRIDGE}listen = 'localhost:80'", "listen must be an IP address and a port"),
        (f"{BRIDGE}listen = '127.0.0.1:99999'", "listen must be an IP address and a port"),
        (f"{BRIDGE}poll = 0.5", "poll must be a number of seconds"),
        (f"{BRIDGE}poll = false", "poll must be a number of seconds"),
        (f"{BRIDGE}body = 10", "body must be a whole number from 1000"),
        (f"{BRIDGE}hourly = 0", "hourly must be a whole number"),
        (f"{BRIDGE}report_url = 'https://x.example.org/'", "report_url must be a URL with {run_id}"),
        (f"{BRIDGE}report_url = 'javascript:{{run_id}}'", "report_url must be a URL"),
        (f"{BRIDGE}drone_branch = '--upload-pack=x'", "drone_branch must be a branch"),
        (f"{BRIDGE}token = 'x'", "'token' is unknown"),
        (BRIDGE.replace("o/custom-html", "o/Custom_HTML"), "repositories must be a list of owner/recipe"),
        (BRIDGE.replace("https://git", "https://me:pw@git"), "forge must be a URL"),
        (BRIDGE.replace("ci/ccci", "ccci"), "drone_repository must be owner/name"),
    ],
)
def test_faults(elsewhere: Path, text: str, word: str) -> None:
    """Unknown keys, wrong types and values out of range are refused, with the file."""
    (elsewhere / "ccci.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(environ={})
    assert word in caught.value.what
    assert "ccci.toml" in caught.value.what or word.startswith("dead_after")


def test_all_faults_at_once(elsewhere: Path) -> None:
    """Faults of all sources are in one message."""
    (elsewhere / "ccci.toml").write_text("x = 1\nfork = 2\n[hosts.ci]\nport = 0\n")
    (elsewhere.parent / "home" / "hosts" / "lab.toml").write_text("y = 1\n")
    with pytest.raises(SettingsError) as caught:
        load(environ={"CCCI_KEEPALIVE": "a"}, flags={"gate_timeout": -1, "zzz": 1})
    words = [
        "'x'",
        "fork",
        "port",
        "address is missing",
        "lab.toml",
        "CCCI_KEEPALIVE",
        "gate_timeout",
        "'zzz'",
    ]
    assert [word for word in words if word not in caught.value.what] == []


def test_settings_are_frozen() -> None:
    """Nobody changes settings on the way."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        load(environ=empty()).host = "x"  # type: ignore[misc]
