"""The interface of all code above the network: four functions on arrays and five facts about them.

`torch.Model` runs a network of ours on tensors, `graphs.GraphEngine` runs exported graphs on NumPy's arrays, and
`fake.FakeEngine` needs no network. What goes into an engine is of the kind that comes out, see `arrays`. Predictors and
trackers take any engine and do not know which they hold.
"""

from typing import Any, Protocol, TypeAlias, cast

from masklet.errors import EngineError
from masklet.nn import Decoded, Levels, MemoryBank, ModelConfig, PromptTokens

Array: TypeAlias = Any
"""A tensor or a NumPy array, of the kind that the engine gives."""

FUNCTIONS = ("encode_image", "attend_memory", "decode_masks", "encode_memory")
"""Names of the four functions."""


class Engine(Protocol):
    """The narrow waist. Shapes are those of `masklet.nn.Network`, whose functions these are."""

    @property
    def config(self) -> ModelConfig:
        """Sizes of the network."""

    @property
    def device(self) -> Any:
        """Where arrays go in and come out: a `torch.device`, or "cpu" for NumPy's."""

    @property
    def dtype(self) -> Any:
        """The type of features and images, of PyTorch or NumPy."""

    @property
    def absent_pointer(self) -> Array:
        """(1, C) the pointer of an object that is not in the frame."""

    @property
    def digest(self) -> str:
        """A fingerprint of the weights: a saved session goes on only with the same; empty if there is none."""

    def encode_image(self, images: Array) -> Levels:
        """Pictures, normalised, (B, 3, S, S) -> features at three resolutions.

        On a CPU it may run in a thread of its own while the other functions run in another.
        """

    def attend_memory(self, features: Array, bank: MemoryBank) -> Array:
        """Features of a frame, conditioned on what is remembered of N objects: (N, C, h, w)."""

    def decode_masks(self, features: Array, levels: Levels, prompts: PromptTokens) -> Decoded:
        """All four candidate masks of N objects."""

    def __hash__(self) -> int:
        """By identity: what is learned with an engine is kept with it."""

    def encode_memory(self, features: Array, masks: Array, presence: Array) -> Array:
        """The memories of N objects: (N, M, h, w)."""


def as_engine(model: Any) -> Engine:
    """The engine that was given, once it is seen to be one.

    Raises:
        EngineError: It lacks one of the four functions.
    """
    if lacking := [name for name in FUNCTIONS if not callable(getattr(model, name, None))]:
        raise EngineError(
            f"model is a value of type {type(model).__name__} without {', '.join(lacking)}; give a name, a path, a "
            "Model or another engine"
        )
    return cast("Engine", model)


def kind_of_device(engine: Engine) -> str:
    """Where an engine computes, without a number: "cpu", "cuda", "mps"."""
    return str(engine.device).partition(":")[0]
