"""What an older attempt says counts as if it were the newest one's."""

from typing import Any

MODULE = "amelia.domain.intake"
WEATHER = {"delay": 1.0, "seconds": 3.0}
FAULTS = [{"operation": "invoke", "drop_after": True, "probability": 0.5}]
CAUGHT_BY = "I2"


def plant(module: Any) -> None:
    right = module.place

    def place(workflow: Any, event: Any) -> Any:
        if event.attempt and event.attempt < workflow.epoch and event.fact and not workflow.ended:
            return module._by_number(event.fact, workflow.fact)
        return right(workflow, event)

    module.place = place
