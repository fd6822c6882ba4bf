"""The limits of admission as the settings say them."""

from .contract.workflow import Budget
from .domain.crowd import Limits
from .settings import Settings

_MICRO = 1_000_000


def limits_of(settings: Settings) -> Limits:
    return Limits(
        fleet=settings.max_in_progress,
        user=settings.max_in_progress_per_user,
        repository=settings.max_in_progress_per_repository,
        month=Budget(
            microdollars=round(settings.monthly_budget_dollars * _MICRO), tokens=settings.monthly_budget_tokens
        ),
        workflow=Budget(microdollars=round(settings.workflow_budget_dollars * _MICRO)),
        failures=settings.quarantine_failures,
        failure_minutes=settings.quarantine_minutes,
    )
