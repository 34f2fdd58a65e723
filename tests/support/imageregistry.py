"""A registry of images on the lab's own loopback: a web server with the files that `docker pull` asks for."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.crash import until

if TYPE_CHECKING:
    from tests.support.host import LabHost

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_SERVER = """
events {{}}
http {{ server {{ listen 127.0.0.1:{port}; root /srv;
  location / {{ default_type application/octet-stream; }}
  location = /v2/ {{ return 200; }}
  location ~ /manifests/ {{ default_type {manifest}; }} }} }}
"""


def _files(name: str, tag: str) -> dict[str, bytes]:
    """Return an image of one empty layer, as the files of a registry."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    layer = buffer.getvalue()
    root = {"type": "layers", "diff_ids": [_digest(layer)]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": root}).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, "size": len(config), "digest": _digest(config)},
            "layers": [{"mediaType": _LAYER, "size": len(layer), "digest": _digest(layer)}],
        }
    ).encode()
    base = f"srv/v2/{name}"
    blobs = {f"{base}/blobs/{_digest(blob)}": blob for blob in (layer, config)}
    return {**blobs, f"{base}/manifests/{tag}": manifest, f"{base}/manifests/{_digest(manifest)}": manifest}


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@contextmanager
def image_to_pull(host: LabHost, name: str, port: int = 5055) -> Iterator[str]:
    """Serve an image that the host does not have; gives its whole name.

    Args:
        host: the lab.
        name: a name that nobody else uses.
        port: a port of the lab's loopback that is free.
    """
    image, container = f"127.0.0.1:{port}/{name}:1", f"registry-{name}"
    files = _files(name, "1") | {"nginx.conf": _SERVER.format(port=port, manifest=_MANIFEST).encode()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, data in files.items():
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    start = f"docker create --name {container} --network host nginx:1.22.1 nginx -g 'daemon off;' -c /nginx.conf"
    host.ssh(f"{start} >/dev/null && docker cp - {container}:/ && docker start {container}", buffer.getvalue())
    try:
        until(lambda: host.sh(f"curl -sf http://127.0.0.1:{port}/v2/ && echo up || true") == "up", "the registry")
        yield image
    finally:
        host.sh(f"docker rm -f {container}; docker image rm {image} 2>/dev/null || true")
