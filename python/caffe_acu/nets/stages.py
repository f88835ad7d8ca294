"""The order of blocks in residual networks: stages, each of which but the first begins at half the size."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """That of a block."""

    stage: int  # from 1
    block: int  # within the stage, from 1

    @property
    def name(self) -> str:
        """What the names of its layers begin with."""
        return f"stage{self.stage}_block{self.block}"

    @property
    def is_first(self) -> bool:
        """Of its stage."""
        return self.block == 1

    @property
    def stride(self) -> int:
        return 2 if self.stage > 1 and self.is_first else 1


def places(stages: int, blocks: int) -> Iterator[Place]:
    """Of all blocks, from the first stage to the last."""
    for stage in range(1, stages + 1):
        for block in range(1, blocks + 1):
            yield Place(stage, block)
