import re
import shlex
from dataclasses import dataclass, field

from builders.documents import ROOT

DOCKERFILE = ROOT / "Dockerfile"


@dataclass(frozen=True)
class Stage:
    """
    A stage of a Dockerfile.

    Attributes:
        base: What it starts from, another stage or an image.
        instructions: Each as (name in capitals, the rest on one line), without comments.
    """

    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, name):
        return [rest for instruction, rest in self.instructions if instruction == name]

    def only(self, name):
        (rest,) = self.all(name)
        return rest

    @property
    def stages_copied_from(self):
        return [match[1] for rest in self.all("COPY") if (match := re.match(r"--from=(\S+) ", rest))]

    @property
    def copied_from_the_context(self):
        """The paths of the repository that its COPY instructions name."""
        copies = [shlex.split(rest) for rest in self.all("COPY") if not rest.startswith("--from=")]
        return [path for words in copies for path in words[:-1]]


def stages(text=None):
    """The stages of the project's Dockerfile, or of *text*, by name."""
    lines = (DOCKERFILE.read_text() if text is None else text).splitlines()
    joined = "\n".join(line for line in lines if not line.lstrip().startswith("#")).replace("\\\n", " ")
    found = {}
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, rest = line.split(maxsplit=1)
        if name == "FROM":
            base, _, stage = rest.partition(" AS ")
            current = found[stage] = Stage(base)
        elif found:
            current.instructions.append((name, re.sub(r"\s+", " ", rest)))
    return found
