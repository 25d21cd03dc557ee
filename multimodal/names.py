"""Where the media road's things lie in Redis. Celery puts its own under the same prefix.

| key | type | use |
| --- | --- | --- |
| `{ns}:media:{queue}` | list | Celery's messages, the oldest at the right |
| `{ns}:media:unacked…` | hash, zset | Celery's messages that a worker holds |
| `{ns}:media:celery-task-meta-{id}` | string, 10 min | state or result of a job; also a channel |
| `{ns}:media:sent:{id}` | string, 1 min | somebody has sent it lately |
| `{ns}:media:unwanted:{id}` | string, 1 h | nobody waits for it any more: skip it |
| `{ns}:media:running:{id}` | string, 12 s | the message by which it is being read, while it beats |
| `{ns}:media:served:{queue}` | string, 15 s | who takes jobs from it, for `moltgate doctor` |
| `{ns}:media:tries:{id}` | string, 1 h | readings begun and not ended in any orderly way |
"""

from __future__ import annotations

from dataclasses import dataclass

BEGUN = "PROGRESS"
"""State of a job that is being read, of our own; repeated on its channel, it is a beat."""

SENT_SECONDS = 60
UNWANTED_SECONDS = 3600
RUNNING_SECONDS = 12
TRIES_SECONDS = 3600
SERVED_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Names:
    namespace: str

    @property
    def prefix(self) -> str:
        return f"{self.namespace}:media:"

    def queue(self, kind: str) -> str:
        return self.prefix + kind

    def result(self, job: str) -> str:
        """Key and channel."""
        return f"{self.prefix}celery-task-meta-{job}"

    def sent(self, job: str) -> str:
        return f"{self.prefix}sent:{job}"

    def unwanted(self, job: str) -> str:
        return f"{self.prefix}unwanted:{job}"

    def running(self, job: str) -> str:
        return f"{self.prefix}running:{job}"

    def served(self, kind: str) -> str:
        return f"{self.prefix}served:{kind}"

    def tries(self, job: str) -> str:
        return f"{self.prefix}tries:{job}"
