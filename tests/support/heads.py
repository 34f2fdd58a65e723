"""Heads that break a recipe, one way each."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.recipe import Tree

CONTENT = "/usr/share/nginx/html"
SERVE = "exec nginx -g 'daemon off;'"


@contextmanager
def compose(tree: Tree) -> Iterator[dict[str, Any]]:
    """Give the compose file as data, and write it back."""
    data = yaml.safe_load(tree["compose.yml"])
    yield data
    tree["compose.yml"] = yaml.safe_dump(data, sort_keys=False)


@contextmanager
def app(tree: Tree) -> Iterator[dict[str, Any]]:
    """Give the service `app` as data, and write it back."""
    with compose(tree) as data:
        yield data["services"]["app"]


def new_config(tree: Tree, old: str, new: str) -> None:
    """Change the nginx configuration and raise its version."""
    assert old in tree["default.conf.tmpl"]
    tree["default.conf.tmpl"] = tree["default.conf.tmpl"].replace(old, new)
    assert "DEFAULT_CONF_VERSION=v2" in tree["abra.sh"]
    tree["abra.sh"] = tree["abra.sh"].replace("DEFAULT_CONF_VERSION=v2", "DEFAULT_CONF_VERSION=v9")


def fails_how(service: dict[str, Any], action: str, order: str = "stop-first") -> None:
    """Say what Swarm does when the update fails."""
    service["deploy"]["update_config"] = {"failure_action": action, "order": order}


def missing_image(tree: Tree) -> None:
    """Name an image that does not exist."""
    with app(tree) as service:
        service["image"] = "nginx:99.99.99-doesnotexist"


def answers_500(tree: Tree) -> None:
    """Run well by Swarm's lights and answer 500 to everybody."""
    new_config(tree, "charset utf-8;", "return 500;")
    with app(tree) as service:
        del service["healthcheck"]


def crash_loop(tree: Tree) -> None:
    """Start, end with exit code 7 after a moment, again and again."""
    with app(tree) as service:
        del service["healthcheck"]
        service["command"] = ["sh", "-c", "sleep 0.5; exit 7"]
        fails_how(service, "continue")
        service["deploy"]["restart_policy"] = {"condition": "any", "delay": "200ms"}


def never_healthy(tree: Tree) -> None:
    """Serve, with a health check that never passes."""
    with app(tree) as service:
        service["healthcheck"] = {"test": ["CMD", "false"], "interval": "500ms", "retries": 2, "start_period": "0s"}
        fails_how(service, "pause")


def never_healthy_and_rude(tree: Tree) -> None:
    """Serve, with a health check that never passes, and end with exit code 5 when told to stop."""
    never_healthy(tree)
    with app(tree) as service:
        service["command"] = ["sh", "-c", "trap 'exit 5' TERM QUIT; sleep 60 & wait"]


def deletes_content(tree: Tree) -> None:
    """Delete all data at the start, then serve nothing."""
    with app(tree) as service:
        del service["healthcheck"]
        service["command"] = ["sh", "-c", f"rm -rf {CONTENT}/*; {SERVE}"]


def spoils_content(tree: Tree) -> None:
    """Change data, owners, modes and names at the start, and serve well all the same."""
    with app(tree) as service:
        spoil = f"cd {CONTENT}; for f in *.txt; do echo spoilt >$$f; mv $$f $$f.old; done; chmod 700 .; chmod 755 ."
        service["command"] = ["sh", "-c", f"{spoil}; {SERVE}"]


def rolled_back(tree: Tree) -> None:
    """End at the start with exit code 3, so that Swarm rolls the update back by itself."""
    with app(tree) as service:
        del service["healthcheck"]
        service["command"] = ["sh", "-c", "exit 3"]
        fails_how(service, "rollback", "start-first")


def forgets_header(tree: Tree) -> None:
    """Stop sending a header that the recipe's own tests want."""
    new_config(tree, "add_header X-Content-Type-Options nosniff;", "")


def new_release(tree: Tree) -> None:
    """Change nothing but the version in the label."""
    assert "1.11.0+1.26.3" in tree["compose.yml"]
    tree["compose.yml"] = tree["compose.yml"].replace("1.11.0+1.26.3", "1.13.0+1.26.3")


def two_services(tree: Tree) -> None:
    """Bring a second service, a volume, a secret, a config and a network."""
    tree["second.conf"] = "hello\n"
    tree["abra.sh"] += "export SECOND_CONF_VERSION=v1\n"
    tree[".env.sample"] += "\nSECRET_TOKEN_VERSION=v1 # length=12\n"
    with compose(tree) as data:
        data["services"]["app"]["networks"].append("backend")
        data["services"]["app"]["secrets"] = ["token"]
        data["services"]["second"] = {
            "image": "nginx:1.26.3",
            "networks": ["backend"],
            "volumes": ["more:/more"],
            "secrets": ["token"],
            "configs": [{"source": "second_conf", "target": "/second.conf"}],
        }
        data["networks"]["backend"] = None
        data["volumes"]["more"] = None
        data["secrets"] = {"token": {"external": True, "name": "${STACK_NAME}_token_${SECRET_TOKEN_VERSION}"}}
        data["configs"]["second_conf"] = {
            "name": "${STACK_NAME}_second_conf_${SECOND_CONF_VERSION}",
            "file": "second.conf",
        }
