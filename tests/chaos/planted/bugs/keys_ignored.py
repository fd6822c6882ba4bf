"""An ``Idempotency-Key`` means nothing: a start that is repeated starts another workflow."""

from typing import Any

MODULE = "amelia.contract.ids"
CAUGHT_BY = "I1: the key"


def plant(module: Any) -> None:
    right = module.derive_id

    def derive_id(parent: str, name: str) -> str:
        return str(module.new_id()) if parent.endswith("/start") else str(right(parent, name))

    module.derive_id = derive_id
