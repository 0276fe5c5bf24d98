"""The HTTP client with which the Hugging Face hub's library sends its requests, guarded.

The library trusts the hub that HF_ENDPOINT names, which may be anybody's mirror: it stores a file under the
ETag that a response gives, sends the token to the address that confirms an upload, and reads responses of any
size. Here the token goes to the hub alone, an ETag is a plain name, nothing is decompressed, and the
responses of the API are bounded. Addresses with signatures are kept out of the log.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from heritage.errors import ConfigError

TRANSFER_TIMEOUT = 60.0
"""Seconds without a byte after which a transfer has failed."""
MAX_API_BYTES = 256 << 20
"""Size of a response of the API: the list of a million files has some 200 MB."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ETAGS = ("etag", "x-linked-etag")
_ETAG = re.compile(r'(?:W/)?"?(?!\.)[A-Za-z0-9_.:+=-]{1,200}"?')
_COMMIT = re.compile(r"[0-9a-f]{40}")


class _Guard:
    """Marks the hooks of this module among those of a client."""

    def __init__(self, hook: Callable[[Any], None]) -> None:
        self._hook = hook

    def __call__(self, message: Any) -> None:
        """Check a request or response."""
        self._hook(message)


def require_endpoint(endpoint: str | None) -> None:
    """Check that a token may be sent to an endpoint: https, or this machine.

    Args:
        endpoint: URL of the hub; None takes HF_ENDPOINT, or the public one.

    Raises:
        ConfigError: It may not.
    """
    from huggingface_hub import constants

    url = constants.ENDPOINT if endpoint is None else endpoint
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.netloc and "@" not in parts.netloc:
        return
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return
    raise ConfigError(
        "not an https address, so the token would be sent in the clear",
        where="HF_ENDPOINT" if endpoint is None else f"endpoint={endpoint}",
        remedy="give https://<host>",
    )


def guard_client(endpoint: str | None = None) -> None:
    """Let the hub's library send its requests through a guarded client from now on.

    Args:
        endpoint: URL of the hub; None takes HF_ENDPOINT, or the public one.

    Raises:
        ConfigError: There is a token, and the endpoint is not one that it may be sent to.
    """
    from huggingface_hub import constants, get_session, get_token, set_client_factory

    if get_token() is not None:
        require_endpoint(endpoint)
    session: Any = get_session()
    kind = type(session)
    library = importlib.import_module(kind.__module__.partition(".")[0])  # httpx, or what replaces it
    logging.getLogger(library.__name__).setLevel(logging.WARNING)
    hooks = {
        name: [hook for hook in known if not isinstance(hook, _Guard)]
        for name, known in session.event_hooks.items()
    }

    def is_hub(url: object) -> bool:
        return _origin(str(url)) == _origin(endpoint or constants.ENDPOINT)

    def guard_request(request: Any) -> None:
        request.headers["accept-encoding"] = "identity"
        if not is_hub(request.url):
            request.headers.pop("authorization", None)

    def guard_response(response: Any) -> None:
        _check_headers(response)
        if is_hub(response.request.url) and "/resolve/" not in response.request.url.path:
            response.stream = _bounded(response.stream, MAX_API_BYTES, library.SyncByteStream)

    hooks["request"] = [*hooks.get("request", ()), _Guard(guard_request)]
    hooks["response"] = [*hooks.get("response", ()), _Guard(guard_response)]
    set_client_factory(lambda: kind(event_hooks=hooks, follow_redirects=True, timeout=TRANSFER_TIMEOUT))


def _bounded(stream: Any, limit: int, base: type[Any]) -> Any:
    """Return the body of a response that ends in an error after a number of bytes."""

    class Bounded(base):  # type: ignore[misc]  # of a library that is known when it runs
        """Counts the bytes of a body."""

        def __iter__(self) -> Iterator[bytes]:
            received = 0
            for chunk in stream:
                received += len(chunk)
                if received > limit:
                    raise OSError(f"more than {limit:,} bytes")
                yield chunk

        def close(self) -> None:
            """Close the connection."""
            stream.close()

    return Bounded()


def _check_headers(response: Any) -> None:
    """Check what the library would take for the name of a file, and that nothing needs decompression.

    Raises:
        OSError: The response cannot be used.
    """
    headers = response.headers
    if response.request.method == "HEAD":
        for name in _ETAGS:
            if name in headers and not _ETAG.fullmatch(headers[name]):
                raise OSError("an ETag that is no plain name")
        commit = headers.get("x-repo-commit")
        if commit is not None and not _COMMIT.fullmatch(commit):
            raise OSError("a commit that is none")
    elif headers.get("content-encoding", "identity") != "identity":
        raise OSError("a compressed response, which was not requested")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname, port
