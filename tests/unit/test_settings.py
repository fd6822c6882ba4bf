"""What the environment says to the services, and what is said when it says it wrong."""

import pytest

from amelia.errors import Refused
from amelia.settings import load


def test_settings_are_read_from_the_environment_and_have_defaults() -> None:
    settings = load({"AMELIA_LEASE_SECONDS": "4.5", "AMELIA_DATABASE_URL": "postgres://localhost/a", "OTHER": "x"})
    assert (settings.lease_seconds, settings.database_url) == (4.5, "postgres://localhost/a")
    assert settings.max_attempts == load({}).max_attempts == 3


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("AMELIA_API_PORT", "many", "AMELIA_API_PORT='many' does not fit.*unset it or give a port from 1 to 65535"),
        ("AMELIA_API_PORT", "99999", "AMELIA_API_PORT='99999' does not fit.*give a port from 1 to 65535"),
        ("AMELIA_MAX_RECEIVES", "many", "unset it or give a whole number"),
        ("AMELIA_LEASE_SECONDS", "", "AMELIA_LEASE_SECONDS='' does not fit"),
        ("AMELIA_DATABASE_URL", "localhost/amelia", "AMELIA_DATABASE_URL is no address.*give postgresql://"),
        ("AMELIA_DATABASE_URL", "mysql://u:secret@h/d", "AMELIA_DATABASE_URL is no address"),
    ],
)
def test_a_setting_that_does_not_fit_is_named_with_what_would(name: str, text: str, told: str) -> None:
    with pytest.raises(Refused, match=told) as refused:
        load({name: text})
    assert "secret" not in str(refused.value)
