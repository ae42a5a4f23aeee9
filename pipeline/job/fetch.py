"""Get the source clip and the reference picture into the job's folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import requests
import urllib3
from numpy.typing import NDArray
from runpod.serverless.utils.rp_ssrf import SSRFError, safe_get

from pipeline.errors import DownloadFailed, DownloadTimeout, TooLarge, UnsupportedMedia, UrlRejected
from pipeline.settings import LimitSettings

_CHUNK = 1 << 20
_SOCKET_SECONDS = 30


def fetch(
    url: str, target: Path, *, field: str, max_bytes: int, seconds: float, local_paths: bool, check: Callable[[], None]
) -> Path:
    """Return the file that ``url`` names: downloaded to ``target``, or the path itself where ``local_paths`` allows.

    Only http and https, only public addresses (``rp_ssrf`` checks every redirect and dials the checked address), at
    most ``max_bytes`` and ``seconds`` in all. Raises ``UrlRejected``, ``DownloadFailed``, ``DownloadTimeout`` and
    ``TooLarge``; messages never repeat the query string.
    """
    try:
        scheme = urlsplit(url).scheme if "://" in url else ""
    except ValueError:
        raise UrlRejected("this is no URL", field=field) from None
    if scheme in ("http", "https"):
        return _download(url, target, field, max_bytes, time.monotonic() + seconds, check)
    if scheme or not local_paths:
        raise UrlRejected("only http and https URLs can be fetched", field=field)
    try:
        path = Path(url).expanduser()
        found = path.is_file()
    except (OSError, RuntimeError):
        # A name that is too long, a folder that may not be entered, an unknown ~user.
        found = False
    if not found:
        raise UrlRejected("there is no such file", field=field)
    if path.stat().st_size > max_bytes:
        raise TooLarge(f"the file is over {max_bytes} bytes", field=field)
    return path


def _download(url: str, target: Path, field: str, max_bytes: int, deadline: float, check: Callable[[], None]) -> Path:
    try:
        with safe_get(
            url, timeout=_SOCKET_SECONDS, max_bytes=max_bytes, headers={"Accept-Encoding": "identity"}
        ) as response:
            if response.status_code != requests.codes.ok:
                raise DownloadFailed(f"the server answered {response.status_code}", field=field)
            _save(response, target, field, max_bytes, deadline, check)
    except SSRFError as error:
        # The SDK has one class for all; its text may hold the caller's host, so only its own beginning counts.
        if str(error).startswith("download exceeds size cap"):
            raise TooLarge(f"the file is over {max_bytes} bytes", field=field) from None
        raise UrlRejected("this URL may not be fetched", field=field) from None
    except requests.Timeout:
        raise DownloadTimeout("the server did not answer in time", field=field) from None
    except urllib3.exceptions.ReadTimeoutError:
        raise DownloadTimeout("the server stopped sending", field=field) from None
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError):
        raise DownloadFailed("the file could not be downloaded", field=field) from None
    if target.stat().st_size == 0:
        raise DownloadFailed("the server delivered an empty file", field=field)
    return target


def _save(
    response: requests.Response,
    target: Path,
    field: str,
    max_bytes: int,
    deadline: float,
    check: Callable[[], None],
) -> None:
    done = 0
    with target.open("wb") as file:
        # Not iter_content: it waits until a chunk is full, and would not see the deadline behind a slow server.
        while part := response.raw.read1(_CHUNK, decode_content=True):
            check()
            done += len(part)
            if done > max_bytes:
                raise TooLarge(f"the file is over {max_bytes} bytes", field=field)
            if time.monotonic() > deadline:
                raise DownloadTimeout("the download did not end in time", field=field)
            file.write(part)
    told = response.headers.get("Content-Length")
    if told is not None and "Content-Encoding" not in response.headers and done != int(told):
        raise DownloadFailed("the download ended early", field=field)


def read_reference(path: Path, limits: LimitSettings, field: str = "reference_image_url") -> NDArray[np.uint8]:
    """Return a picture as (H, W, 3 or 4) RGB or RGBA, turned as its EXIF data says.

    Raises ``UnsupportedMedia`` where it is no picture, ``TooLarge`` over ``limits``.
    """
    data = np.frombuffer(path.read_bytes(), np.uint8)
    try:
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
        with_alpha = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if picture is not None else None
    except cv2.error:
        # OpenCV refuses over 2^30 pixels by an exception.
        picture = with_alpha = None
    if picture is None or with_alpha is None:
        raise UnsupportedMedia("the reference is no picture that can be read", field=field)
    if picture.shape[0] * picture.shape[1] > limits.max_reference_megapixels * 1e6:
        raise TooLarge(f"the picture is over {limits.max_reference_megapixels:g} megapixels", field=field)
    if with_alpha.ndim == 3 and with_alpha.shape[2] == 4 and with_alpha.dtype == np.uint8:
        return np.asarray(cv2.cvtColor(with_alpha, cv2.COLOR_BGRA2RGBA), np.uint8)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
