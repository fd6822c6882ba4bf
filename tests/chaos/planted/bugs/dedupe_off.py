"""An event that comes a second time is admitted a second time."""

from typing import Any

MODULE = "amelia.domain.intake"
WEATHER = {"double": 1.0}
CAUGHT_BY = "I"


def plant(module: Any) -> None:
    right = module._by_number

    def by_number(number: int, highest: int) -> Any:
        return "admit" if number == highest else right(number, highest)

    module._by_number = by_number
