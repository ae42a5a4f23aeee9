"""Parse the target of a redirect as leniently as curl and browsers do."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit, urlunsplit

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNWRITTEN = re.compile(r"[^\x21-\x7e]")


def redirect_target(url: str, location: str) -> str:
    """Return the URL that ``location`` denotes relative to ``url``, without its fragment; it is not checked here.

    ``location`` is a header as HTTP libraries return it, bytes decoded as Latin-1. Surrounding blanks are stripped;
    blanks and non-ASCII bytes in path and query are percent-encoded, which many servers forget; existing escapes are
    kept. Raises ``ValueError`` if it is not a URL.
    """
    stripped = location.strip(" \t")
    if _CONTROL.search(stripped):
        raise ValueError("a control character")
    try:
        text = stripped.encode("latin-1").decode("utf-8")
    except UnicodeError:
        text = stripped
    parts = urlsplit(urljoin(url, text))
    return urlunsplit(parts._replace(path=_encoded(parts.path), query=_encoded(parts.query), fragment=""))


def _encoded(text: str) -> str:
    return _UNWRITTEN.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8")), text)
