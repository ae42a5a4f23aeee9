"""The web page: ``python app.py`` opens it on this machine; ``python app.py --help`` lists all options."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from conf import DEFAULT_PRESET, compose_settings
from pipeline.errors import InvalidInput
from webpage.job_runner import Answer, EndpointJob, Job, JobRunner, LocalJob
from worker.command_line import Arguments, parse_arguments
from worker.delivery.bucket import check_bucket
from worker.delivery.bucket_settings import read_bucket
from worker.environment import WorkerEnvironment, read_worker_settings
from worker.logs import redact_sdk_log, set_up_logging
from worker.models import ModelKeeper

_POLICY = "; ".join(
    (
        "default-src 'self'",
        # Gradio's own scripts; nothing is loaded from elsewhere.
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        # A clip given by URL is played from there.
        "media-src 'self' blob: http: https:",
        "object-src 'none'",
        "base-uri 'self'",
        "frame-ancestors 'self'",
    )
)
_CSS = """
.error { color: #b00020; font-weight: 600; margin: 0; }
.dark .error { color: #ff9a9a; }
/* The theme's grays and its orange have too little contrast. */
.or, .min_value, .max_value, .info-text { color: var(--body-text-color) !important; }
#start { background: #1d4ed8; color: #fff; }
#cancel { background: #b91c1c; color: #fff; }
#start:disabled, #cancel:disabled { background: #64748b; opacity: 1; }
#start, #cancel { transition: none; }
.bar { width: 100%; height: 1.25rem; accent-color: #1d4ed8; }
.result .pair { display: flex; flex-wrap: wrap; gap: 1rem; }
.result figure { flex: 1 1 280px; margin: 0; min-width: 0; }
.result video, .result img { width: 100%; height: auto; background: #000; }
.result iframe { width: 100%; height: 80vh; border: 1px solid #8888; background: #fff; }
.result a { color: #1d4ed8; text-decoration: underline; overflow-wrap: anywhere; }
.dark .result a { color: #9dbcff; }
"""
_EPILOG = """\
Without --endpoint, jobs run on this machine, with the environment variables that handler.py --help lists
(UNDERSTUDY_OVERRIDES and others). With --endpoint, they run on RunPod with the key in RUNPOD_API_KEY; local files are
uploaded to a bucket of yours that the endpoint can reach: BUCKET_ENDPOINT_URL, BUCKET_ACCESS_KEY_ID,
BUCKET_SECRET_ACCESS_KEY, BUCKET_NAME (and BUCKET_REGION).

The page has no login, and everyone who opens it sees the last job: make it reachable only for people you trust.
"""


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python app.py",
        description="Serve Understudy's web page: run one job at a time and see its progress, result and report.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, local only)")
    parser.add_argument("--port", type=int, default=7860, help="port (default: %(default)s); 0 chooses a free one")
    parser.add_argument(
        "--folder", type=Path, default=Path("outputs/app"), help="folder for uploads and results (default: %(default)s)"
    )
    parser.add_argument("--endpoint", metavar="ID", help="run jobs on this RunPod endpoint")
    parser.add_argument("--inline", action="store_true", help="with --endpoint: return short results in the answer")
    return parser.parse_args(argv)


MakeJob = Callable[[Answer, str], Job]
"""Maps a job's input and id to the job."""


def _set_up(given: argparse.Namespace, folder: Path, environment: Mapping[str, str]) -> Any:
    """Return the page's configuration. Raises ``InvalidInput`` that names the variable or option."""
    from webpage.page_config import PageConfig

    ours = parse_arguments(["app.py"], environment)
    assert ours is not None
    # Results stay in the page's folder, even if a bucket is configured for uploads to an endpoint.
    without_bucket = {name: value for name, value in environment.items() if not name.startswith("BUCKET_")}
    worker = replace(
        read_worker_settings(without_bucket, "local"), outputs=folder / "results", local_root=folder / "uploads"
    )
    if given.endpoint is None:
        if given.inline:
            raise InvalidInput("requires --endpoint", field="--inline")
        make_job = _local_jobs(ours, worker)
    else:
        make_job = _endpoint_jobs(given, folder, environment)
        # An endpoint has settings of its own; those of this machine do not apply.
        ours = replace(ours, overrides=(), locked=())
    preset = ours.preset or DEFAULT_PRESET
    compose_settings(preset, ours.overrides)
    return PageConfig(
        runner=JobRunner(make_job, folder / "results"),
        folder=folder,
        settings_of=lambda name: compose_settings(name, ours.overrides),
        preset=preset,
        locked=ours.locked,
        private_hosts=worker.private_hosts,
        where="on this machine" if given.endpoint is None else f"on RunPod's endpoint {given.endpoint}",
    )


def _local_jobs(arguments: Arguments, worker: WorkerEnvironment) -> MakeJob:
    models = ModelKeeper()
    local = replace(arguments, origin="local")
    return lambda job_input, job_id: LocalJob(job_input, job_id, local, worker, models)


def _endpoint_jobs(given: argparse.Namespace, folder: Path, environment: Mapping[str, str]) -> MakeJob:
    key = environment.get("RUNPOD_API_KEY", "")
    bucket = read_bucket(environment)
    if not key:
        raise InvalidInput("is not set: create a key in RunPod's console under Settings", field="RUNPOD_API_KEY")
    if bucket is not None:
        check_bucket(bucket)
    return lambda job_input, job_id: EndpointJob(
        job_input,
        folder / "results" / job_id,
        endpoint_id=given.endpoint,
        api_key=key,
        bucket=bucket,
        inline=given.inline,
    )


def make_server(config: Any, host: str) -> Any:
    """Return the ASGI app: the page, and the results folder under ``/results``. No other folder is served."""
    import gradio as gr
    from fastapi import FastAPI
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.staticfiles import StaticFiles

    from webpage.page import build_page

    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    server.mount("/results", StaticFiles(directory=config.folder / "results"))
    page = build_page(config)
    # The default theme loads its fonts from another host.
    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    theme = gr.themes.Default(primary_hue="blue", **fonts)
    limits = config.settings_of(config.preset).limits
    gr.mount_gradio_app(
        server, page, path="/", theme=theme, css=_CSS, footer_links=[], run_history=False,
        max_file_size=limits.max_bytes, show_error=False, ssr_mode=False, pwa=False, mcp_server=False,
    )  # fmt: skip
    if host in ("127.0.0.1", "localhost", "::1"):
        # DNS rebinding: a web site may resolve its own name to this machine; the request's Host header reveals it.
        server.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])
    return _with_policy(server)


def _with_policy(server: Any) -> Any:
    """Wrap an ASGI app with a content security policy, so that browsers load nothing from other hosts."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        async def send_with_header(message: Any) -> None:
            if message["type"] == "http.response.start":
                more = ((b"content-security-policy", _POLICY.encode()), (b"x-content-type-options", b"nosniff"))
                message = {**message, "headers": [*message.get("headers", ()), *more]}
            await send(message)

        await server(scope, receive, send_with_header if scope["type"] == "http" else send)

    return wrapped


def main(argv: list[str]) -> int:
    """Serve the page until Ctrl-C."""
    given = _arguments(argv)
    folder = given.folder.resolve()
    # Gradio reads these when it is imported.
    os.environ |= {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "GRADIO_TEMP_DIR": str(folder / "uploads"),
    }
    try:
        config = _set_up(given, folder, os.environ)
        for name in ("uploads", "results"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        listener = socket.create_server((given.host, given.port))
    except InvalidInput as error:
        print(f"{error.field}: {error.message}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"the page cannot be served: {error.strerror}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        print(f"{error.name} is not installed; `make app` installs what the page needs", file=sys.stderr)
        return 1
    set_up_logging(os.environ, as_json=False, level=logging.WARNING)
    redact_sdk_log(os.environ)
    import uvicorn

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # Open pages are disconnected now; a traceback for each would bury the earlier output.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            await super().shutdown(sockets)

    server_config = uvicorn.Config(make_server(config, given.host), log_level="warning", timeout_graceful_shutdown=2)
    host, port = listener.getsockname()[:2]
    print(f"Understudy's page: http://{host}:{port}/ (stop with Ctrl-C)", flush=True)
    try:
        Server(server_config).run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        config.runner.cancel()
        config.runner.wait(30)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
