"""Text files in a folder, answered by text files."""

from __future__ import annotations

from adapters import AdapterSpec, Ask, Setup
from gateway.ports import Capabilities
from moltgate_adapter_folder.config import FolderConfig

SPEC = AdapterSpec(
    kind="folder",
    title="Folder",
    config=FolderConfig,
    capabilities=Capabilities(
        text_limit=100_000,
        dialect="markdown",
        edits=True,
        streams=True,
        edit_interval=1.0,
        idempotent_send=True,
    ),
    factory="moltgate_adapter_folder.adapter:FolderAdapter",
    split="moltgate_adapter_folder.render:split",
    id_rules={"id_pattern": r"[\w-][\w .-]*", "id_hint": "the name of a folder below in/"},
    setup=Setup(
        steps=("Make a folder that Moltgate can read and write.",),
        asks=(Ask(setting="path", question="The folder", env="MOLTGATE_FOLDER"),),
    ),
)
