"""The documentation of streams that also come as a page of JSON."""

from dataclasses import dataclass

from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, Schema

_EVENT = Schema(
    type=OpenAPIType.OBJECT,
    required=["sequence", "type"],
    properties={"sequence": Schema(type=OpenAPIType.INTEGER), "type": Schema(type=OpenAPIType.STRING)},
    description="An event with its sequence, as ``schemas/stream/event.json`` has it.",
)
_EVENTS = Schema(type=OpenAPIType.ARRAY, items=_EVENT, max_items=1000)
_PAGE = Schema(
    type=OpenAPIType.OBJECT,
    required=["items", "cursor", "caught_up"],
    properties={
        "items": Schema(
            type=OpenAPIType.ARRAY,
            items=Schema(type=OpenAPIType.OBJECT, description="As ``schemas/stream/fleet_event.json`` has it."),
        ),
        "cursor": Schema(type=OpenAPIType.STRING, description="Of the next page."),
        "caught_up": Schema(type=OpenAPIType.BOOLEAN, description="Whether there is nothing more now."),
    },
)


@dataclass
class OfOneWorkflow(Operation):
    def __post_init__(self) -> None:
        _also_as_json(self, _EVENTS)


@dataclass
class OfTheFleet(Operation):
    def __post_init__(self) -> None:
        _also_as_json(self, _PAGE)


def _also_as_json(operation: Operation, schema: Schema) -> None:
    """For who accepts only that."""
    streamed = (operation.responses or {})["200"]
    assert isinstance(streamed, OpenAPIResponse)
    assert streamed.content is not None
    streamed.content["text/event-stream"] = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))
    streamed.content["application/json"] = OpenAPIMediaType(schema=schema)
