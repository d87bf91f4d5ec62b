"""Which system extensions may be activated: none whose name another one has, too."""

from wit_world import exports
from wit_world.imports.types import Verdict_Abstain, Verdict_Incompatible


class Compatibility(exports.Compatibility):
    def review(self, host, extensions):
        return [verdict(one, extensions) for one in extensions]


def verdict(one, extensions):
    for other in extensions:
        if other.image != one.image and other.name == one.name:
            return Verdict_Incompatible(f"{one.name} is also the name of {other.image}")
    return Verdict_Abstain()
