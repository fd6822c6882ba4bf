"""What was learnt about repositories."""

from collections.abc import Sequence

from ...domain.lessons import MOST, KeptLesson
from .pool import Pool, taken

_FIELDS = "id, team, repository, topic, text, workflow_id, learnt_at"
_READ = f"""
SELECT {_FIELDS} FROM lesson WHERE team = $1 AND ($2 = '' OR repository = $2)
ORDER BY learnt_at DESC, id LIMIT $3
"""  # noqa: S608 - names of ours
_FORGET = f"DELETE FROM lesson WHERE team = $1 AND id = ANY($2::text[]) RETURNING {_FIELDS}"  # noqa: S608
_MOST_AT_ONCE = 20 * MOST


async def read(pool: Pool, team: str, repository: str) -> list[KeptLesson]:
    if "\0" in team + repository:
        return []
    async with taken(pool) as connection:
        records = await connection.fetch(_READ, team, repository, _MOST_AT_ONCE)
    return [KeptLesson(**dict(record)) for record in records]


async def forget(pool: Pool, team: str, ids: Sequence[str]) -> list[KeptLesson]:
    wanted = [id_ for id_ in ids if "\0" not in id_]
    async with taken(pool) as connection:
        records = await connection.fetch(_FORGET, team, wanted)
    return [KeptLesson(**dict(record)) for record in records]
