"""TLS to Redis: verified unless asked otherwise, and its failures in one plain sentence."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from typing import Any

from ironforge.errors import ConfigError
from ironforge.queue.packing import TcpConnection
from ironforge.queue.urls import RedisUrl

log = logging.getLogger("ironforge.redis")
_warned: set[str] = set()
# By the number OpenSSL gives its verdict on a certificate.
_VERDICTS = {
    10: "it has expired",
    9: "it is not valid yet",
    18: "it is self-signed",
    19: "it was signed by an issuer nobody here trusts",
    20: "its issuer is not known here",
    21: "its issuer is not known here",
    62: "it is for another host name",
    64: "it is for another address",
}
_NEXT = "give the right ssl_ca_certs in REDIS_URL, or have the certificate renewed"


class TlsConnection(TcpConnection):
    """Shares one context: loading the certificates anew would cost each connection milliseconds."""

    def __init__(self, *, tls: ssl.SSLContext, **more: Any) -> None:
        super().__init__(**more)
        self._tls = tls

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {**super()._connection_arguments(), "ssl": self._tls}


def tls_context(url: RedisUrl) -> ssl.SSLContext:
    """Raises ConfigError for files that cannot be used."""
    options = url.options
    try:
        context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
        if "ssl_certfile" in options:
            context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
        elif "ssl_keyfile" in options:
            raise ConfigError("REDIS_URL has an ssl_keyfile without its ssl_certfile")
    except OSError as error:
        reason = error.strerror if error.filename or not isinstance(error, ssl.SSLError) else "not PEM"
        raise ConfigError(
            f"REDIS_URL names a TLS file that cannot be used ({reason or 'not PEM, or not its key'}); "
            "look at ssl_ca_certs, ssl_certfile and ssl_keyfile"
        ) from None
    if options.get("ssl_check_hostname", "true").lower() == "false":
        context.check_hostname = False
        _warn(
            "the host name in Redis' TLS certificate is NOT checked (ssl_check_hostname=false in REDIS_URL)"
        )
    if options.get("ssl_cert_reqs") == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        _warn(
            "Redis' TLS certificate is NOT verified (ssl_cert_reqs=none in REDIS_URL): anyone on the way can read "
            "and change jobs. Give ssl_ca_certs instead"
        )
    return context


def tls_words(error: BaseException) -> str | None:
    """What a failure of TLS means; None when TLS is not the cause."""
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, ssl.SSLCertVerificationError):
            verdict = _VERDICTS.get(cause.verify_code, "it cannot be verified")
            return f"Redis' TLS certificate is refused: {verdict}; {_NEXT}"
        if isinstance(cause, ssl.SSLError) or "_ALERT_" in str(cause)[:200]:
            return _alert_words(str(cause))
        cause = cause.__cause__ or cause.__context__
    return None


def _alert_words(text: str) -> str:
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text:
        return "Redis does not speak TLS on that port; write redis instead of rediss, or name its TLS port"
    if "CERTIFICATE_REQUIRED" in text or "HANDSHAKE_FAILURE" in text:
        return "Redis wants a TLS certificate of its clients; give ssl_certfile and ssl_keyfile in REDIS_URL"
    if "UNKNOWN_CA" in text or "BAD_CERTIFICATE" in text or "CERTIFICATE_EXPIRED" in text:
        return "Redis refused our TLS certificate; look at ssl_certfile in REDIS_URL"
    return "the TLS connection to Redis failed; look at the TLS settings of both sides"


def _warn(words: str) -> None:
    """Once per process: every process of a worker says it."""
    if words not in _warned:
        _warned.add(words)
        log.warning(words)
