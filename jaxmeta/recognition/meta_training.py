"""How weights are meta-trained from plainly trained ones: numbers only, so that --help is quick."""

from typing import Any, NamedTuple, TypeVar

Recipe = TypeVar("Recipe", bound=Any)


class MetaTraining(NamedTuple):
    """What a recipe says of meta-training, in its field `meta`."""

    updates: int
    rate: float
    """Peak, of the outer optimizer."""
    tasks: int
    """Of an update."""
    support: int
    query: int
    steps: int
    """Inner ones."""
    inner_rate: float
    longest: int
    """Frames above which an utterance is left out; tasks are padded to that."""

    def decides(self) -> dict[str, Any]:
        """What meta-trained weights depend on, besides the plainly trained ones."""
        return {f"meta_{name}": value for name, value in self._asdict().items()}


def replaced(recipe: Recipe, meta_updates: int | None, **given: Any) -> Recipe:
    """A recipe with these fields instead of its own, but for those that are None."""
    fields = {name: value for name, value in given.items() if value is not None}
    if meta_updates is not None:
        fields["meta"] = recipe.meta._replace(updates=meta_updates)
    return recipe._replace(**fields)
