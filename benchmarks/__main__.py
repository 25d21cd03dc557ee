"""``python -m benchmarks NAME [options]``: finds ``benchmarks.NAME`` and calls its `main`."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> Mapping[str, str]:
    """Benchmarks by name, with the first line of what they say about themselves."""
    found = {}
    for module in pkgutil.iter_modules([str(FOLDER)]):
        source = (FOLDER / f"{module.name}.py").read_text() if not module.ispkg else ""
        if "\ndef main(" in source and module.name != "__main__":
            found[module.name] = source.partition('"""')[2].partition("\n")[0].rstrip('."')
    return found


def main(arguments: Sequence[str]) -> int:
    known = names()
    if not arguments or arguments[0] not in known:
        print("usage: python -m benchmarks NAME [--json] [options]\n", file=sys.stderr)
        for name, purpose in sorted(known.items()):
            print(f"  {name:10} {purpose}", file=sys.stderr)
        return 2
    name, *rest = arguments
    importlib.import_module(f"benchmarks.{name}").main(rest)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
