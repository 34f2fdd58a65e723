"""What the controller remembers of labs, and the hosts file."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

import pytest
import tomli
from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ccci.errors import StateUnreadable, UsageError
from ccci.lab import browser, keys, record, state

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> record.Record:
    """A lab as the disk knows it; no container runs."""
    monkeypatch.setenv("CCCI_HOME", str(tmp_path))
    made = evolve(record.blank("one"), ssh_port=2201, http_port=2202, https_port=2203, recipes=("a", "b"))
    made.folder.mkdir(parents=True)
    keys.write_ssh_pair(made.folder / "id_ed25519", "user")
    keys.write_ssh_pair(made.folder / "host_key", "host")
    keys.write_certificates(made.folder, record.BASE_DOMAIN)
    made.save()
    return made


def test_record_survives_the_disk(lab: record.Record) -> None:
    """What is read is what was written."""
    assert record.load("one") == lab
    assert record.names() == ["one"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 2}', '{"name": "one", "other": 1}'])
def test_broken_record_is_never_taken_for_no_lab(lab: record.Record, text: str) -> None:
    """A record that cannot be read is an error that names the file, since a lab may be behind it."""
    (lab.folder / "lab.json").write_text(text)
    with pytest.raises(StateUnreadable, match=r"lab\.json"):
        record.load("one")


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "-x", "x" * 40, "a b"])
def test_bad_names_are_refused(name: str) -> None:
    """A name that could leave the labs' folder, or that Docker refuses, never becomes a path."""
    with pytest.raises(UsageError):
        record.folder(name)


def test_hosts_file_pins_the_host_key(lab: record.Record) -> None:
    """The hosts file is private, reads as TOML, and its known_hosts holds the key that the host gets."""
    path = record.write_hosts_file(lab)
    host = tomli.loads(path.read_text())
    assert path.stat().st_mode & 0o777 == 0o600
    assert (host["address"], host["port"], host["user"]) == ("127.0.0.1", 2201, "root")
    assert host["base_domain"] == "ci.lab.test"
    assert host["forge"].format(recipe="x") == "file:///srv/git/x.git"
    public = (lab.folder / "host_key.pub").read_text().split()
    known = (lab.folder / "known_hosts").read_text().split()
    assert known == ["[127.0.0.1]:2201", *public[:2]]
    assert host["known_hosts"] == str(lab.folder / "known_hosts")


def test_forgetting_leaves_nothing(lab: record.Record) -> None:
    """After a lab is forgotten neither its folder nor its hosts file is there."""
    record.write_hosts_file(lab)
    record.forget("one")
    assert record.load("one") is None
    assert not record.hosts_file("one").exists()


def test_private_keys_are_private(lab: record.Record) -> None:
    """No other user of the machine can read a private key of the lab."""
    for name in ("id_ed25519", "host_key", "cert.key"):
        assert (lab.folder / name).stat().st_mode & 0o077 == 0


def test_certificate_is_for_all_apps_and_signed_by_the_ca(lab: record.Record) -> None:
    """The certificate covers every name below the base domain, and only the lab's CA vouches for it."""
    ca = x509.load_pem_x509_certificate((lab.folder / "ca.pem").read_bytes())
    certificate = x509.load_pem_x509_certificate((lab.folder / "cert.pem").read_bytes())
    certificate.verify_directly_issued_by(ca)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["*.ci.lab.test", "ci.lab.test"]


def test_browser_trusts_one_key_and_goes_to_loopback(lab: record.Record, tmp_path: Path) -> None:
    """The browser maps only the lab's names, to the published port, and accepts only the lab's own key."""
    argv = browser.browser_argv(lab, "chromium", str(tmp_path), screenshot=tmp_path / "x.png")
    certificate = x509.load_pem_x509_certificate((lab.folder / "cert.pem").read_bytes())
    der = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    pin = base64.b64encode(hashlib.sha256(der).digest()).decode()
    assert f"--ignore-certificate-errors-spki-list={pin}" in argv
    assert "--host-resolver-rules=MAP *.ci.lab.test 127.0.0.1:2203" in argv
    assert not any(argument == "--ignore-certificate-errors" for argument in argv)


def test_domain_of_a_recipe_is_its_canonical() -> None:
    """`lab open` takes a recipe for its canonical and leaves a domain of the lab as it is."""
    assert browser.domain_of("custom-html") == "warm-custom-html.ci.lab.test"
    assert browser.domain_of("traefik.ci.lab.test") == "traefik.ci.lab.test"


def test_ssh_uses_nothing_of_the_users_settings(lab: record.Record) -> None:
    """The ssh command pins the host key, uses the lab's key only, and reads no ssh_config."""
    argv = state.ssh_argv(lab)
    assert argv[argv.index("-F") + 1] == "none"
    assert "StrictHostKeyChecking=yes" in argv
    assert "IdentitiesOnly=yes" in argv
    assert argv[argv.index("-p") + 1] == "2201"
