"""The journal's tables, for queries that are not hot. The hot paths are SQL in ``journal.py``, over the same pool."""

from piccolo.columns import BigInt, Integer, Text, Timestamptz
from piccolo.columns.indexes import IndexMethod
from piccolo.table import Table


class WorkflowRow(Table, tablename="workflow"):
    """One row a workflow; ``state`` is ``domain.workflow.Workflow`` as JSON and everything else is drawn from it,
    but for the times, which are the database's."""

    id = Text(primary_key=True, default=None)
    team = Text()
    owner = Text()
    status = Text()
    repository = Text()
    epoch = Integer()
    sequence = BigInt()
    lease_until = Timestamptz(null=True, default=None)
    wake_at = Timestamptz(null=True, default=None)
    gap_since = Timestamptz(null=True, default=None)
    state = Text()
    created_at = Timestamptz(index=True, index_method=IndexMethod.btree)
    updated_at = Timestamptz()


class OutboxRow(Table, tablename="outbox"):
    """What has to be sent. A command's row goes when its outcome is recorded, an event's when the bus took it."""

    id = Text(primary_key=True, default=None)
    destination = Text()
    workflow_id = Text()
    body = Text()
    publishes = Integer()
    next_at = Timestamptz()


class CommandRow(Table, tablename="command"):
    """Every command that was executed, so that a second time is recognised."""

    id = Text(primary_key=True, default=None)
    workflow_id = Text()
    type = Text()
    actor = Text()
    fingerprint = Text()
    executed_at = Timestamptz()
