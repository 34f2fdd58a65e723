"""Shell text that puts ccci on its host: releases, a key of its own, and who may log in with it."""

from __future__ import annotations

from pathlib import PurePosixPath

from ccci.commands.shell import Argv, all_of, argv, quote

AUTHORIZED_KEYS = PurePosixPath("/root/.ssh/authorized_keys")
# From this host only, and nothing but what ccci does: commands, and TCP through the connection.
KEY_OPTIONS = 'from="127.0.0.1,::1",restrict,pty,port-forwarding'


def unpack(release: PurePosixPath, *, python: str, version: str, size: int) -> str:
    """Make a release of the gzipped tar on standard input: beside its place first, with a venv around it.

    Args:
        release: the folder; must not exist.
        python: the host's Python.
        version: its version, as the venv's folder has it: 3.11.
        size: how many bytes must come; a sender that dies looks like an end of input.
    """
    new = PurePosixPath(f"{release}.new")
    archive = PurePosixPath(f"{release}.tar.gz")
    packages = new / f"venv/lib/python{version}/site-packages"
    return all_of(
        argv("mkdir", "-p", release.parent),
        argv("rm", "-rf", "--one-file-system", new),
        argv("install", "-m", "0600", "/dev/stdin", archive),
        f'[ "$(stat -c %s {quote([str(archive)])})" = {int(size)} ]',
        argv(python, "-m", "venv", "--without-pip", new / "venv"),
        argv("tar", "-xzf", archive, "-C", new, "--no-same-owner"),
        argv("mkdir", "-p", new / "playbooks"),
        argv("rmdir", packages),
        argv("mv", "-T", new / "site", packages),
        argv(new / "venv/bin/python", "-I", "-m", "compileall", "-q", "-j", "0", packages),
        argv("rm", archive),
        argv("sync", "-f", new),
        argv("mv", "-T", new, release),
    )


def switch(link: PurePosixPath, to: PurePosixPath, *, settings: PurePosixPath, home: PurePosixPath) -> str:
    """Let `link` name a release, if that one's doctor finds nothing to mend on this host."""
    new = f"{link}.ccci-new"
    env = argv("env", f"CCCI_SETTINGS={settings}", f"CCCI_HOME={home}")
    env += argv(f"CCCI_RECIPES={to}/recipes", f"CCCI_PLAYBOOKS={to}/playbooks")  # the link still names the one before
    return all_of(
        argv("mkdir", "-p", home),
        (*env, *argv(to / "venv/bin/python", "-I", "-m", "ccci", "doctor")),
        argv("ln", "-sfn", to, new),
        argv("mv", "-T", new, link),
    )


def make_key(path: PurePosixPath) -> str:
    """Make an SSH key without a passphrase; it never leaves the host."""
    return all_of(
        argv("mkdir", "-p", path.parent),
        argv("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ccci on this host", "-f", path),
    )


def authorise(public: PurePosixPath) -> Argv:
    """Let the owner of a public key log in from this host; the file is replaced whole."""
    text = (
        'umask 077; mkdir -p "${2%/*}"; new="$2.ccci-new"; '
        '{ [ ! -e "$2" ] || grep -vF "$(cut -d " " -f 2 "$1")" "$2" || true; } >"$new" && '
        'printf "%s %s\\n" "$3" "$(cat "$1")" >>"$new" && sync -d "$new" && mv -T "$new" "$2"'
    )
    return argv("sh", "-c", text, "-", public, AUTHORIZED_KEYS, KEY_OPTIONS)


def unauthorise(public: PurePosixPath) -> Argv:
    """Take a public key out of those that may log in; every other line stays."""
    text = (
        'umask 077; new="$2.ccci-new"; '
        '{ grep -vF "$(cut -d " " -f 2 "$1")" "$2" || true; } >"$new" && sync -d "$new" && mv -T "$new" "$2"'
    )
    return argv("sh", "-c", text, "-", public, AUTHORIZED_KEYS)


# A look a second: long enough for `df` to cost nothing, short enough for what a container writes.
_WATCH = """
(low=
while free=$(df -B1 --output=avail "$1" | tail -n 1); do
  if [ -z "$low" ] || [ "$free" -lt "$low" ]; then low=$free; echo $low; fi
  sleep 1 >/dev/null
done) </dev/null & cat >/dev/null; kill $!
"""


def watch_free(path: str) -> Argv:
    """Print the free bytes of a path's file system whenever they are fewer than before, until the input ends."""
    return argv("sh", "-c", _WATCH, "ccci-disk", path)
