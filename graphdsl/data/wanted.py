"""What a model wants of data."""

from __future__ import annotations

from graphdsl.ir import POINTS, Symbolic, TensorType
from graphdsl.report import Span, dataclass

Sizes = tuple[int | str, ...]


@dataclass(frozen=True)
class Wanted:
    """An input or target that a model declares.

    role   "input" or "target"
    type   with the batch axis first
    """

    name: str
    role: str
    type: TensorType
    span: Span | None = None

    @property
    def classes(self) -> int:
        """How many class numbers there are; 0 when it is not made of class numbers."""
        return self.type.kind.classes if self.type.kind.name == "indices" else 0

    @property
    def shape(self) -> Sizes:
        """The shape of one sample; names for free sizes."""
        shape = self.type.shape[1:] if self.type.batched else self.type.shape
        return tuple(str(size) if isinstance(size, Symbolic) else size for size in shape)

    @property
    def sequence(self) -> bool:
        """`int(n)[T]` or `int(n)[200]`: class numbers in a row, as a text is."""
        return self.classes > 0 and len(self.shape) == 1

    @property
    def boxes(self) -> bool:
        """`box(n)[m]`"""
        return self.type.kind.name == "boxes"

    @property
    def partial(self) -> bool:
        """`float?[8]`, `point[68]`: entries may be unknown, which is NaN."""
        return self.type.partial

    @property
    def points(self) -> bool:
        """`point[68]`"""
        return self.type.kind == POINTS

    @property
    def marks(self) -> bool:
        """Boxes or points: what moves when a picture does."""
        return self.boxes or self.points

    @property
    def title(self) -> str:
        """`` input `image` ``"""
        return f"{self.role} `{self.name}`"
