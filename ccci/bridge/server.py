"""The bridge's HTTP: webhooks in, health and figures out."""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from http import HTTPStatus

import attrs
from flask import Flask, Response, jsonify, request
from typing_extensions import override
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from ccci.bridge.health import Health
from ccci.bridge.limits import Limiter
from ccci.bridge.metrics import Metrics
from ccci.bridge.queue import OPEN, Queue
from ccci.bridge.webhook import HEADERS, Refused, check_signature, read_delivery, wanted
from ccci.model.bridge import BridgeOptions
from ccci.model.names import shown

LOG = logging.getLogger("ccci.bridge")
THREADS = 8
SILENCE = 20  # seconds for which a client may keep a connection without a word
CONNECTIONS = 200
_QUIET = frozenset({"other", "event"})  # outcomes of which there are many, and none of which matters


@attrs.frozen
class Parts:
    """What requests need."""

    options: BridgeOptions
    secret: bytes = attrs.field(repr=False)
    queue: Queue
    health: Health
    metrics: Metrics
    limiter: Limiter


def make_app(parts: Parts) -> Flask:
    """Return the WSGI application: POST /webhook, GET /healthz, GET /metrics."""
    app = Flask("ccci.bridge.http", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = parts.options.body

    @app.post("/webhook")
    def webhook() -> tuple[Response, int]:
        with parts.metrics.answers.time():
            try:
                said, outcome, code = _taken(parts)
            except Refused as error:
                said, outcome, code = _refused(parts, error)
        parts.metrics.deliveries.labels(outcome).inc()
        return jsonify(said), code

    @app.get("/healthz")
    def healthz() -> tuple[Response, int]:
        report, counts = parts.health.report(), parts.queue.counts()
        is_well = all(service["state"] == "up" for service in report.values())
        said = {
            "ok": is_well,
            **report,
            "queue": sum(counts[state] for state in OPEN),
            "states": {state.value: counts[state] for state in OPEN},
        }
        return jsonify(said), HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(parts.metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8")

    @app.errorhandler(HTTPException)
    def failed(error: HTTPException) -> tuple[Response, int]:
        return jsonify({"refused": error.name}), error.code or HTTPStatus.INTERNAL_SERVER_ERROR

    return app


def _taken(parts: Parts) -> tuple[dict[str, object], str, int]:
    """Take a delivery in; returns what is answered, the outcome for the metrics, and the status code."""
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise Refused("the body is too long", 413, "long") from None
    headers = {name: request.headers[name] for name in HEADERS if name in request.headers}
    check_signature(parts.secret, body, headers)
    delivery = read_delivery(body, headers)
    if delivery is None:
        return {"ignored": "not a new comment"}, "event", HTTPStatus.OK
    quick = wanted(delivery, parts.options.repositories, datetime.now(timezone.utc))
    added = parts.queue.add(delivery.repo, delivery.comment, delivery.number, delivery.author, quick=quick)
    if added is None:
        raise Refused(f"comment {delivery.comment} of {delivery.repo} has come before", 200, "duplicate")
    where = f"{delivery.repo}#{delivery.number} comment {delivery.comment}"
    LOG.info("%s: received, by %s", where, shown(delivery.author))
    return {"queued": added.id}, "queued", HTTPStatus.ACCEPTED


def _refused(parts: Parts, error: Refused) -> tuple[dict[str, object], str, int]:
    address = request.remote_addr or "?"
    is_bad = error.status >= HTTPStatus.BAD_REQUEST
    if is_bad and not parts.limiter.spend(address):
        return {"refused": "too many bad requests"}, "limited", HTTPStatus.TOO_MANY_REQUESTS
    if error.kind not in _QUIET:
        LOG.warning("refused a delivery from %s: %s", shown(address), error.why)
    word = "refused" if is_bad else "ignored"
    return {word: error.why}, error.kind, error.status


class _LoggedError(ErrorTask):
    """Waitress's own refusals (a body too long, no HTTP): it says nothing of them, so we do."""

    @override
    def execute(self) -> None:
        why = getattr(self.request, "error").reason  # noqa: B009  (the stubs do not know it)
        LOG.warning("refused a request from %s: %s", shown(self.channel.addr[0]), why)
        super().execute()


class _Channel(HTTPChannel):
    error_task_class = _LoggedError


class _Server(TcpWSGIServer):
    channel_class = _Channel


def make_server(app: Flask, options: BridgeOptions) -> TcpWSGIServer:
    """Return the server, bound to its address and not yet running.

    Raises:
        OSError: the address cannot be had.
    """
    host, port = options.listen
    adjustments = Adjustments(
        host=f"[{host}]" if ":" in host else host,
        port=port,
        threads=THREADS,
        max_request_body_size=options.body,
        max_request_header_size=16_384,
        channel_timeout=SILENCE,
        cleanup_interval=5,
        connection_limit=CONNECTIONS,
        ident=None,
        expose_tracebacks=False,
        clear_untrusted_proxy_headers=True,
    )
    return _Server(app, adj=adjustments)
