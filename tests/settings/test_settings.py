"""Where settings come from, in which order, and what is said when one is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfleet.errors import BadFile, ConfigError, MissingSetting
from mailfleet.settings import Settings, environment_of, explain, get_settings, is_secret


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def profile(home: Path, text: str, name: str = "default") -> None:
    (home / ".mailfleet/profiles").mkdir(parents=True, exist_ok=True)
    (home / f".mailfleet/profiles/{name}.toml").write_text(text)


def test_defaults_stand_without_anything() -> None:
    settings = get_settings()
    assert settings.smartlead_base_url == "https://server.smartlead.ai/api/v1"
    assert settings.database_url is None


def test_environment_beats_dotenv_beats_profile(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile(empty, 'SMARTLEAD_PLAN = "pro"\nTWILIO_FROM = "+1"\nSLACK_BASE_URL = "http://profile"')
    (empty / ".env").write_text("TWILIO_FROM=+2\nSLACK_BASE_URL=http://dotenv\n")
    monkeypatch.setenv("SLACK_BASE_URL", "http://environment")
    settings = get_settings()
    assert (settings.smartlead_plan, settings.twilio_from, settings.slack_base_url) == (
        "pro",
        "+2",
        "http://environment",
    )


def test_the_profile_is_chosen_by_name(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile(empty, 'smartlead_plan = "pro"', name="acme")
    monkeypatch.setenv("MAILFLEET_PROFILE", "acme")
    assert get_settings().smartlead_plan == "pro"


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMARTLEAD_BASE_URL", "")
    assert get_settings().smartlead_base_url.startswith("https://server.smartlead.ai")


def test_a_missing_setting_names_every_place_and_what_is_there(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMARTLEAD_PLAN", "pro")
    with pytest.raises(MissingSetting) as caught:
        get_settings().need("smartlead_api_key")
    told = str(caught.value)
    assert "SMARTLEAD_API_KEY is needed" in told
    assert "environment: has SMARTLEAD_PLAN" in told
    assert str(empty / ".env") in told
    assert str(empty / ".mailfleet/profiles/default.toml") in told


def keys() -> dict[str, str]:
    return {slug: key.get_secret_value() for slug, key in get_settings().smartlead_api_keys.items()}


def test_a_clients_key_is_kept_under_its_slug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMARTLEAD_API_KEY", "common-key-0001")
    monkeypatch.setenv("SMARTLEAD_API_KEY__AGENCY_OS", "own-key-0000002")
    assert keys() == {"agency_os": "own-key-0000002"}


def test_a_client_key_in_the_profile_counts_too(empty: Path) -> None:
    profile(empty, 'SMARTLEAD_API_KEY__ACME = "own-key-0000002"')
    assert keys() == {"acme": "own-key-0000002"}


def test_secrets_show_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = [name for name in Settings.model_fields if is_secret(name) and name != "smartlead_api_keys"]
    for name in secrets:
        monkeypatch.setenv(name.upper(), f"hidden-{name}")
    monkeypatch.setenv("SMARTLEAD_API_KEY__ACME", "hidden-acme")
    settings = get_settings()
    assert len(secrets) >= 10
    assert "hidden-" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_explain_shows_each_place_and_only_the_end_of_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "abcdefghijklmnop")
    looked = explain("CLOUDFLARE_API_TOKEN")
    assert looked[0] == ("environment", "…mnop")
    assert looked[-1] == ("default", "none")


def test_explaining_what_does_not_exist_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no setting NONSENSE"):
        explain("nonsense")


def test_a_bad_value_names_the_setting_and_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMARTLEAD_PLAN", "gold")
    with pytest.raises(ConfigError, match="SMARTLEAD_PLAN from environment is not usable") as caught:
        get_settings()
    assert caught.value.exit_code == 2


def test_a_profile_that_is_not_toml_is_named(empty: Path) -> None:
    profile(empty, "this is not toml")
    with pytest.raises(BadFile, match=r"default\.toml cannot be read"):
        get_settings()


def test_a_child_process_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = get_settings(
        database_url="postgresql://u:p@h/d",
        mailfleet_home="x",
        smartlead_api_key__acme="own",
        slack_channels={"default": "#a"},
    )
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)
    again = get_settings()
    assert again.secret("database_url") == "postgresql://u:p@h/d"
    assert again.home == settings.home
    assert again.smartlead_api_keys["acme"].get_secret_value() == "own"
    assert again.slack_channels == {"default": "#a"}


def test_every_setting_is_described() -> None:
    undescribed = [name for name, field in Settings.model_fields.items() if not field.description]
    assert undescribed == ["smartlead_api_keys"]
