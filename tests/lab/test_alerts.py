"""An alert reaches people, or stays and says so: raised by a real hold, sent to a real receiver."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.provider import ALERTS, Provider
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.host import LabHost
    from tests.support.running import Done

RECIPES = Path(__file__).parents[2] / "recipes"
VERSION = "90.0.0+90.0.0"


@pytest.fixture(scope="module")
def provider(warm_lab: LabHost) -> Provider:
    """The proxy, healthy at its newest release."""
    made = Provider(warm_lab, "traefik", f"traefik.{warm_lab.settings['base_domain']}", RECIPES)
    done = made.reconcile()
    assert done.code == 0, done.all
    return made


@pytest.fixture
def alert(provider: Provider) -> Iterator[str]:
    """The file name of an alert that waits: the proxy's newest release is a major step."""
    provider.forget_alerts()
    provider.host.sh(f"rm -f {provider.home}/last_good.json")  # else it was said already
    newest = provider.label()
    provider.release(VERSION, lambda tree: tree.update({f"release/{VERSION}": "Read this first.\n"}), base=newest)
    done = provider.reconcile()
    provider.withdraw(VERSION)
    assert done.result["outcome"] == f"held-major:{newest}->{VERSION}", done.all
    [name] = done.result["alerts"]
    yield name
    provider.forget_alerts()


def ccci(provider: Provider, *words: str, env: dict[str, str] | None = None) -> Done:
    """Run a verb."""
    return provider.start(*words, env=env).finish()


def waiting(provider: Provider, folder: str = ALERTS) -> list[str]:
    """Return the names of the alerts' files in a folder of the host."""
    return provider.host.sh(f"cd {folder} 2>/dev/null && ls -p | grep -v / || true").split()


def test_an_alert_is_listed_and_shown(provider: Provider, alert: str) -> None:
    """What waits is listed with its title; its page has the reason, the release notes and the next command."""
    listed, shown = ccci(provider, "alerts", "list"), ccci(provider, "alerts", "show", alert)
    assert (listed.code, shown.code) == (0, 0)
    assert alert in listed.out
    assert f"{VERSION} is held" in listed.out
    for word in ("major step", "Read this first.", f"--allow '{provider.label()}->{VERSION}'"):
        assert word in shown.out
    data = json.loads(ccci(provider, "alerts", "list", "--json").out)
    assert data[alert] == json.loads(provider.host.sh(f"cat {ALERTS}/{alert}"))
    assert provider.host.sh(f"stat -c %a {ALERTS}/{alert}") == "600"
    unknown = ccci(provider, "alerts", "show", "none.json")
    assert (unknown.code, "there is no alert none.json" in unknown.stderr) == (2, True)


def test_a_delivery_that_fails_keeps_the_alert(provider: Provider, alert: str, tmp_path: Path) -> None:
    """An alert stays until every address took it; who did not is named by number, and no address is shown."""
    with Receiver(refuses={"/broken"}) as receiver:
        file = tmp_path / "addresses"
        file.touch(0o600)
        file.write_text(f"# two people\n{receiver.address('/one')}\n{receiver.address('/broken')}\n", "utf-8")
        env = {"CCCI_ALERTS": str(file)}
        failed = ccci(provider, "alerts", "relay", env=env)
        assert failed.code == 3, failed.all
        assert "address 2 (json)" in failed.all
        assert "secret-word" not in failed.all
        assert waiting(provider) == [alert]
        receiver.refuses.clear()
        sent = ccci(provider, "play", "relay_alerts", env=env)
        assert sent.code == 0, sent.all
        assert [path for path, _ in receiver.got] == ["/one", "/one", "/broken"]
        message = receiver.got[-1][1]
        assert f"{VERSION} is held" in message["title"]
        for word in ("major step", "Read this first.", "--allow"):
            assert word in message["message"]
        again = ccci(provider, "alerts", "relay", env=env)
        assert (again.code, len(receiver.got)) == (0, 3), "what was delivered is not sent again"
    assert (waiting(provider), waiting(provider, f"{ALERTS}/seen")) == ([], [alert])
    assert "no alert waits" in ccci(provider, "alerts", "list").out
    assert alert in ccci(provider, "alerts", "list", "--seen").out
    assert "Read this first." in ccci(provider, "alerts", "show", alert).out


def test_an_acknowledged_alert_is_sent_to_nobody(provider: Provider, alert: str, tmp_path: Path) -> None:
    """`ack` puts an alert away; it is not sent, and cannot be acknowledged twice."""
    assert ccci(provider, "alerts", "ack", alert).code == 0
    assert (waiting(provider), waiting(provider, f"{ALERTS}/seen")) == ([], [alert])
    with Receiver() as receiver:
        (file := tmp_path / "addresses").touch(0o600)
        file.write_text(receiver.address("/one"), "utf-8")
        assert ccci(provider, "alerts", "relay", env={"CCCI_ALERTS": str(file)}).code == 0
        assert receiver.got == []
    twice = ccci(provider, "alerts", "ack", alert)
    assert (twice.code, f"no alert {alert} waits" in twice.stderr) == (2, True)


def test_nobody_to_send_to(provider: Provider, alert: str) -> None:
    """Without addresses an alert waits, and the relay says what is missing."""
    done = ccci(provider, "alerts", "relay")
    assert (done.code, waiting(provider)) == (0, [alert])
    assert "1 alert(s) wait: `alerts` in the settings names no file of addresses" in done.out
