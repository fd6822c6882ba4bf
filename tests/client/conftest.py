from collections.abc import Iterator

import pytest

from amelia.client.http import ControlPlane

from .pretend_fleet import TOKEN, PretendFleet, Stage, serving


@pytest.fixture(scope="session")
def stage() -> Iterator[tuple[Stage, str]]:
    stage = Stage()
    with serving(stage) as url:
        yield stage, url


@pytest.fixture
def fleet(stage: tuple[Stage, str]) -> PretendFleet:
    stage[0].fleet = PretendFleet()
    stage[0].fleet.url = stage[1]
    return stage[0].fleet


@pytest.fixture
def plane(fleet: PretendFleet) -> ControlPlane:
    return ControlPlane(fleet.url, TOKEN)
