"""A media worker's program with readers of a test's choice:

python -m tests.fakes.media --redis URL --namespace NS --blobs FOLDER [--queues ocr,asr] ...
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gateway.blobs import FolderBlobs
from gateway.logs import configure
from gateway.process import say_ready
from multimodal.config import MediaConfig
from multimodal.jobs import QUEUES
from multimodal.worker import run


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--redis", required=True)
    parser.add_argument("--password", default="")
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--blobs", type=Path, required=True)
    parser.add_argument("--queues", default=",".join(QUEUES))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--idle", type=float)
    parser.add_argument("--memory", type=int, default=0)
    parser.add_argument("--reader", default="tests.fakes.readers:Told")
    given = parser.parse_args()
    configure(level="info", form="json", role="media")
    return run(
        given.redis,
        given.password,
        given.namespace,
        MediaConfig(),
        FolderBlobs(given.blobs),
        queues=given.queues.split(","),
        processes=given.processes,
        idle=given.idle,
        announce=say_ready,
        readers=dict.fromkeys(QUEUES, given.reader),
        memory=given.memory,
    )


if __name__ == "__main__":
    sys.exit(main())
