"""What a person says of an object beside where it is: a title, its category, a colour, and anything else by name."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, cast

from masklet.errors import FormatError, PromptError, SessionError
from masklet.prompts import check_name

MAX_ATTRIBUTES = 100
MAX_VALUE_LENGTH = 1000
"""Letters of an attribute's text."""

NO_LABEL = "object"
"""The class of objects of which nothing is said."""


@dataclass(frozen=True)
class Description:
    """What is said of an object. All of it may be left out.

    title       what people read in place of the object's name
    category    its class, such as "car"; if empty, the object's name where that is a text, else "object"
    colour      "#rrggbb", or empty for the colour of its number
    attributes  texts, numbers and truths by name

    Raises SessionError for anything else.
    """

    title: str = ""
    category: str = ""
    colour: str = ""
    attributes: Mapping[str, str | float | bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in ("title", "category"):
            if getattr(self, key) != "":
                _check_text(getattr(self, key), key)
        colour, attributes = cast(object, self.colour), cast(object, self.attributes)
        if not isinstance(colour, str) or not re.fullmatch(r"(#[0-9A-Fa-f]{6})?", colour):
            raise SessionError(f"colour is {colour!r:.80}; give '#rrggbb', such as '#ff8800', or an empty text")
        if not isinstance(attributes, Mapping) or len(attributes) > MAX_ATTRIBUTES:
            raise SessionError(f"attributes is {attributes!r:.80}; give a dict of at most {MAX_ATTRIBUTES} values")
        object.__setattr__(self, "attributes", dict(self.attributes))  # the user's own may change
        for key, value in self.attributes.items():
            _check_text(key, "the name of an attribute")
            if not _is_value(value):
                raise SessionError(
                    f"the attribute {key!r} is {value!r:.80}; give a text of at most {MAX_VALUE_LENGTH} letters, a "
                    "finite number below 2^63, True or False"
                )

    def __bool__(self) -> bool:
        return bool(self.title or self.category or self.colour or self.attributes)

    def updated(
        self,
        title: str | None = None,
        category: str | None = None,
        colour: str | None = None,
        attributes: Mapping[str, str | float | bool] | None = None,
    ) -> "Description":
        """With what is given; what is None stays. Raises SessionError as the class."""
        given = {"title": title, "category": category, "colour": colour, "attributes": attributes}
        return replace(self, **{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]

    @property
    def rgb(self) -> tuple[int, int, int] | None:
        """(red, green, blue), 0..255 each; None where no colour is given."""
        return (int(self.colour[1:3], 16), int(self.colour[3:5], 16), int(self.colour[5:], 16)) if self.colour else None

    def to_json(self) -> dict[str, Any]:
        """What is said, as plain values that JSON knows."""
        return {part.name: value for part in fields(self) if (value := getattr(self, part.name))}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Description":
        """What `to_json` wrote among other values. Raises SessionError for what is no description."""
        return cls(**{part.name: record[part.name] for part in fields(cls) if part.name in record})


def read_description(record: Mapping[str, Any], where: str) -> Description:
    """What a file says of an object. Raises FormatError, which calls the file `where`, for what is no description."""
    try:
        return Description.from_json(record)
    except SessionError as error:
        raise FormatError(f"{where} cannot be read: {error}") from None


def label_of(name: int | str, description: Description | None = None) -> str:
    """The class of an object in files for training: its category, or its name if that is a text, else "object"."""
    if description is not None and description.category:
        return description.category
    return name if isinstance(name, str) and name else NO_LABEL


def title_of(name: int | str, description: Description | None = None) -> str:
    """What people read as the object's name."""
    return (description.title if description is not None else "") or str(name)


def numbers_of_labels(names: Iterable[int | str], described: Mapping[Any, Description]) -> dict[str, int]:
    """The classes of objects, numbered from 0 in the order in which they come."""
    labels = (label_of(name, described.get(name)) for name in names)
    return {label: number for number, label in enumerate(dict.fromkeys(labels))}


def _check_text(value: object, what: str) -> None:
    try:
        if isinstance(value, str):
            check_name(value)
            return
    except PromptError as error:
        raise SessionError(f"{what}: {error}".replace("object is", "it is", 1)) from None
    raise SessionError(f"{what} is {value!r:.80}; give a text")


def _is_value(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_VALUE_LENGTH and not re.search("[\ud800-\udfff]", value)
    return type(value) in (bool, int, float) and abs(value) < 2**63  # type: ignore[arg-type]
