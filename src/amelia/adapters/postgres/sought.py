"""Events that are asked for by their type, from the index that holds these alone."""

from typing import get_args

from ...ports.journal import Sought, Stored
from .pool import Pool, taken

_SQL = {
    type_: "SELECT workflow_id, sequence, body FROM event"  # noqa: S608 - names of ours
    f" WHERE workflow_id = $1 AND type = '{type_}' AND sequence > $2 ORDER BY sequence LIMIT $3"
    for type_ in get_args(Sought)
}
"""The type is spelt out, or the planner could not know that the index holds it."""


async def read(pool: Pool, workflow_id: str, sought: Sought, after: int, limit: int) -> list[Stored]:
    async with taken(pool) as connection:
        records = await connection.fetch(_SQL[sought], workflow_id, after, limit)
    return [Stored(*record) for record in records]
