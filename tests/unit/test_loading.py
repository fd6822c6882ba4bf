"""The collector rests while a large package comes, and only then."""

import gc

from amelia.loading import loading


def test_nothing_is_looked_through_while_something_new_is_loaded() -> None:
    frozen = gc.get_freeze_count()
    with loading("amelia.not_loaded_yet"):
        assert not gc.isenabled()
        new = [[number] for number in range(1_000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() > frozen + len(new) // 2


def test_what_is_there_already_changes_nothing() -> None:
    frozen = gc.get_freeze_count()
    with loading("gc"):
        assert gc.isenabled()
    assert gc.get_freeze_count() <= frozen


def test_a_collector_that_somebody_stopped_stays_stopped() -> None:
    gc.disable()
    try:
        with loading("amelia.not_loaded_yet"):
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()
