"""Which paths of the initramfs survive: those that the settings list."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.types import (
    Decision_Delete,
    Decision_Descend,
    Decision_Keep,
    FileKind,
)

keep = []


class Settings(exports.Settings):
    def configure(self, json_text):
        """Takes {"keep": [PATH, ...]}. The text of an Err is what the operator reads."""
        global keep
        settings = json.loads(json_text)
        for name in settings:
            if name != "keep":
                raise Err(f'there is no setting "{name}", only "keep"')
        keep = settings.get("keep", [])
        if not isinstance(keep, list) or not all(isinstance(path, str) for path in keep):
            raise Err('"keep" must be a list of paths')


class Preservation(exports.Preservation):
    def review(self, directory, entries):
        """Answers for each entry of a directory, in their order."""
        above = directory.decode(errors="surrogateescape").rstrip("/")
        return [decide(above, entry) for entry in entries]


def decide(above, entry):
    # Names are bytes: those that are not UTF-8 match nothing here.
    path = above + "/" + entry.name.decode(errors="surrogateescape")
    if path in keep:
        return Decision_Keep()
    leads_on = any(kept.startswith(path + "/") for kept in keep)
    if entry.kind == FileKind.DIRECTORY and leads_on:
        return Decision_Descend()
    return Decision_Delete()
