"""Admits pre-releases of extensions (1.2.0-rc.1) on machines of some rings alone.

A machine says which ring it is of on its kernel command line: fleet.ring=canary.
"""

import json
import re

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.types import Verdict_Abstain, Verdict_Incompatible

# What stands behind a dash, before build metadata, as in semantic versioning.
PRE_RELEASE = re.compile(r"v?\d+(?:\.\d+)*-(?P<pre>[0-9A-Za-z.-]+)(?:\+.*)?")

rings = ["canary"]


class Settings(exports.Settings):
    def configure(self, json_text):
        """Takes {"rings": [NAME, ...]}. The text of an Err is what the operator reads."""
        global rings
        settings = json.loads(json_text)
        for name in settings:
            if name != "rings":
                raise Err(f'there is no setting "{name}", only "rings"')
        rings = settings.get("rings", rings)
        if not isinstance(rings, list) or not all(isinstance(ring, str) for ring in rings):
            raise Err('"rings" must be a list of names')


class Compatibility(exports.Compatibility):
    def review(self, host, extensions):
        """Answers for each extension, in their order."""
        ring = ring_of(host.kernel_command_line)
        return [verdict(extension, ring) for extension in extensions]


def ring_of(command_line):
    """The last fleet.ring= counts, as for the kernel's own parameters."""
    found = [word.partition("=")[2] for word in command_line.split() if word.startswith("fleet.ring=")]
    return found[-1] if found else None


def verdict(extension, ring):
    if not PRE_RELEASE.fullmatch(extension.version) or ring in rings:
        return Verdict_Abstain()
    where = f"this machine is of ring {ring}" if ring else "this machine is of no ring"
    return Verdict_Incompatible(
        f"{extension.version} is a pre-release, for rings {', '.join(rings)} alone, and {where}"
    )
