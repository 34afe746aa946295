"""What an installation is told: where its database is, whose keys it uses, what time it is.

Order: environment > `.env` in the working directory > profile file > default. The profile file is TOML at
`MAILFLEET_HOME/profiles/<MAILFLEET_PROFILE>.toml`; keys are the same names in either case.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.sources import DotEnvSettingsSource, EnvSettingsSource

from mailfleet.errors import BadFile, ConfigError, MissingSetting

PER_CLIENT = "smartlead_api_key__"
_JSON = ("slack_channels", "registrant", "status_urls")
_HOME = Path(".mailfleet")
_ADDRESSES = (
    "smartlead_base_url", "smartlead_delivery_base_url", "cloudflare_base_url", "namecheap_base_url",
    "slack_base_url", "twilio_base_url", "salesforge_base_url", "salesforge_multichannel_base_url",
    "warmforge_base_url", "infraforge_base_url", "mailforge_base_url", "prefect_api_url", "receiver_public_url",
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """One place settings are read from. Names are lower case."""

    name: str
    values: Mapping[str, str]


class Settings(BaseSettings):
    """Every setting, under its environment name in lower case. Secrets never show in a repr."""

    model_config = SettingsConfigDict(extra="ignore", validate_default=True)

    mailfleet_home: Path = Field(
        _HOME, description="Folder for everything kept on this machine: embedded Postgres, keys, profiles."
    )
    mailfleet_profile: str = Field("default", description="Name of the profile file under MAILFLEET_HOME/profiles.")
    mailfleet_clock: str = Field(
        "system", description="`system`, or `file:PATH` for a clock driven from outside (demo, rehearsal)."
    )
    mailfleet_policy: Path | None = Field(None, description="Policy file (TOML) that overrides the specified figures.")
    mailfleet_lead_source: Path | None = Field(
        None, description="File (TOML) that names tables of leads in another schema of the database; docs/leads.md."
    )
    mailfleet_kek: SecretStr | None = Field(
        None, description="Key-encryption key, 32 bytes in base64. Wins over MAILFLEET_KEK_FILE."
    )
    mailfleet_kek_file: Path | None = Field(
        None, description="File holding the key-encryption key. Default: MAILFLEET_HOME/kek, made at first use."
    )
    mailfleet_log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe log line that is written."
    )
    mailfleet_log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="`console` or `json`; `auto` is console on a terminal, else JSON."
    )

    database_url: SecretStr | None = Field(
        None, description="Postgres 15 or newer, direct or through a transaction pooler. Empty: the embedded server."
    )
    mailfleet_database_pool: int = Field(8, ge=1, le=200, description="Most connections one process holds.")
    prefect_api_url: str | None = Field(
        None, description="Prefect API to record runs in. `mailfleet up` starts one and sets it."
    )
    mailfleet_call_timeout: float | None = Field(
        None,
        gt=0,
        description="Longest seconds one call to a vendor may take with all its attempts; empty: 120, and 300 for its "
        "turn under the rate limit. `--timeout SECONDS` sets it for one command.",
    )
    mailfleet_sync_delay: float = Field(
        30, ge=0, description="Seconds from a webhook to the lead sync of its campaign; 0: on its schedule alone."
    )
    prefect_port: int = Field(4200, ge=0, le=65535, description="Port of the Prefect server that `up` starts; 0 = any.")

    smartlead_api_key: SecretStr | None = Field(
        None, description="Smartlead key. SMARTLEAD_API_KEY__<CLIENT_SLUG> is the key of one client."
    )
    smartlead_base_url: str = Field(
        "https://server.smartlead.ai/api/v1", description="Smartlead API, up to the version."
    )
    smartlead_delivery_base_url: str = Field(
        "https://smartdelivery.smartlead.ai/api/v1/spam-test", description="SmartDelivery API (placement tests)."
    )
    smartlead_plan: Literal["standard", "pro"] = Field(
        "standard", description="Rate limit the budget starts from: 60 or 120 calls a minute (V8)."
    )
    smartlead_webhook_secret: SecretStr | None = Field(
        None, description="`secret_key` that Smartlead's webhooks have to carry (V11)."
    )

    salesforge_api_key: SecretStr | None = Field(None, description="Salesforge key, for core and multichannel.")
    salesforge_base_url: str = Field("https://api.salesforge.ai/public/v2", description="Salesforge core API.")
    salesforge_multichannel_base_url: str = Field(
        "https://multichannel-api.salesforge.ai/public", description="Salesforge multichannel API."
    )
    salesforge_workspace: str = Field("", description="Id, name or slug of the workspace. Empty: the only one.")
    salesforge_product: str = Field("", description="Id of the product new sequences belong to. Empty: the first.")
    salesforge_language: str = Field("american_english", description="Language of new sequences, in their words.")
    warmforge_api_key: SecretStr | None = Field(None, description="Warmforge key (account-wide).")
    warmforge_base_url: str = Field("https://api.warmforge.ai/public/v1", description="Warmforge API.")
    warmforge_workspace: str = Field("", description="Its workspace. Empty: the one named as at Salesforge.")
    infraforge_api_key: SecretStr | None = Field(None, description="Infraforge key.")
    infraforge_base_url: str = Field("https://api.infraforge.ai/public", description="Infraforge API.")
    mailforge_api_key: SecretStr | None = Field(None, description="Mailforge key.")
    mailforge_base_url: str = Field("https://api.mailforge.ai/public", description="Mailforge API.")
    forge_calls_per_second: float = Field(
        2.0, gt=0, le=1000, description="Calls a second to each Forge product: they publish no limit."
    )

    cloudflare_api_token: SecretStr | None = Field(None, description="Token with Zone:Edit and DNS:Edit.")
    cloudflare_account_id: str | None = Field(None, description="Account that new zones belong to.")
    cloudflare_base_url: str = Field("https://api.cloudflare.com/client/v4", description="Cloudflare API.")

    namecheap_api_user: str | None = Field(None, description="Namecheap API user.")
    namecheap_api_key: SecretStr | None = Field(None, description="Namecheap API key.")
    namecheap_username: str | None = Field(None, description="Namecheap account; usually the API user.")
    namecheap_client_ip: str | None = Field(None, description="IPv4 of this machine, as whitelisted at Namecheap.")
    registrant: dict[str, str] = Field(
        default_factory=dict,
        description="JSON: who registers bought domains, truthfully: first_name, last_name, organisation, address, "
        "city, state, postcode, country, phone, email.",
    )
    namecheap_base_url: str = Field("https://api.namecheap.com/xml.response", description="Namecheap API.")

    export_recipients: str = Field(
        "", description="age public keys (age1…) that exports are encrypted to, separated by spaces or commas (M8)."
    )
    export_folder: Path | None = Field(None, description="Folder that exports are put in.")
    export_bucket: str = Field("", description="Bucket that exports are put in: s3://BUCKET/PREFIX.")
    export_s3_endpoint: str = Field(
        "", description="Address of an S3 service that is not Amazon's, such as Supabase's …/storage/v1/s3."
    )
    export_s3_region: str = Field("us-east-1", description="Region of the bucket.")
    export_s3_key_id: str = Field("", description="Access key id of the bucket.")
    export_s3_secret: SecretStr | None = Field(None, description="Secret access key of the bucket.")

    slack_webhook_url: SecretStr | None = Field(None, description="Slack incoming webhook; one channel only.")
    slack_bot_token: SecretStr | None = Field(None, description="Slack bot token (chat:write); wins over the webhook.")
    slack_base_url: str = Field("https://slack.com/api", description="Slack API.")
    slack_channels: dict[str, str] = Field(
        default_factory=dict,
        description='JSON: severity or named channel → Slack channel, `default` for the rest: {"default": "#ops"}.',
    )
    twilio_account_sid: str | None = Field(None, description="Twilio account.")
    twilio_auth_token: SecretStr | None = Field(None, description="Twilio token.")
    twilio_from: str | None = Field(None, description="Number that SMS come from (E.164).")
    twilio_base_url: str = Field("https://api.twilio.com", description="Twilio API.")
    sms_numbers: str = Field("", description="Numbers for emergencies (E.164), separated by commas (S12).")

    status_urls: dict[str, str] = Field(
        default_factory=dict,
        description="JSON: vendor → its status page (Statuspage), looked up when calls are not answered in time: "
        '{"smartlead": "https://status.example.com"}. Without one nothing is looked up.',
    )

    dns_parent: str = Field("", description="`host:port` that plays the parent zone. Empty: real DNS.")
    dns_nameservers: str = Field("", description="`host:port` that plays every authoritative server. Empty: real DNS.")
    dns_resolvers: str = Field(
        "", description="Resolvers to ask, `host:port` separated by commas. Empty: well-known public ones."
    )
    mailbox_spf: str = Field(
        "", description="SPF terms of your own mail servers, separated by spaces, e.g. `ip4:192.0.2.1` (D1)."
    )
    mailbox_mx: str = Field("", description="MX host of your own mail servers.")
    mailbox_smtp: str = Field("", description="SMTP `host:port` of your own mail servers.")
    mailbox_imap: str = Field("", description="IMAP `host:port` of your own mail servers.")
    mailbox_tls: bool = Field(True, description="TLS to your own mail servers (off only on loopback).")

    receiver_host: str = Field("127.0.0.1", description="Address the webhook receiver listens on.")
    receiver_port: int = Field(8040, ge=0, le=65535, description="Port the webhook receiver listens on; 0 = any.")
    receiver_public_url: str = Field("", description="Address vendors reach the receiver at, without the token.")
    receiver_token: SecretStr | None = Field(
        None, description="Unguessable path of the receiver. Default: made at first use, kept in MAILFLEET_HOME."
    )

    console_host: str = Field("127.0.0.1", description="Address the console listens on; it asks nobody who they are.")
    console_port: int = Field(8041, ge=0, le=65535, description="Port the console listens on; 0 = any.")
    console_hosts: str = Field("", description="Further names the console answers to, separated by spaces.")

    smartlead_api_keys: dict[str, SecretStr] = Field(default_factory=dict, exclude=True, repr=False)

    @field_validator(*_ADDRESSES)
    @classmethod
    def _web_address(cls, given: str | None) -> str | None:
        if given and not re.match(r"https?://[^/\s]+", given):
            raise PydanticCustomError("web_address", "it has to begin with https:// or http:// and name a host")
        return given

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # The places are read by `places()`, so that `config explain` shows exactly what was used.
        return (init_settings,)

    @property
    def home(self) -> Path:
        return self.mailfleet_home.expanduser().resolve()

    @property
    def sms(self) -> tuple[str, ...]:
        return _listed(self.sms_numbers)

    @property
    def resolvers(self) -> tuple[str, ...]:
        return _listed(self.dns_resolvers)

    def need(self, name: str) -> str:
        """The setting's value in clear. Raises MissingSetting, which names every place looked in."""
        value = getattr(self, name)
        if value in (None, ""):
            raise missing(name)
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)

    def secret(self, name: str) -> str:
        """The setting's value in clear, empty when it is not set."""
        value = getattr(self, name)
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")


def get_settings(**given: object) -> Settings:
    """The settings as they stand now; `given` wins over every place. Raises ConfigError naming the bad one."""
    found = places()
    merged: dict[str, Any] = {}
    for place in reversed(found):
        merged |= {name: value for name, value in place.values.items() if value != ""}
    merged |= given
    keys = {name.removeprefix(PER_CLIENT): value for name, value in merged.items() if name.startswith(PER_CLIENT)}
    known = {name: _decoded(name, value) for name, value in merged.items() if name in Settings.model_fields}
    try:
        return Settings(**known, smartlead_api_keys=keys)
    except ValidationError as error:
        raise _told(error, found) from None


def places(environ: Mapping[str, str] | None = None) -> list[Place]:
    """Where settings come from, the winning place first."""
    env = environ if environ is not None else EnvSettingsSource(Settings).env_vars
    dotenv = DotEnvSettingsSource(Settings, env_file=".env").env_vars if Path(".env").is_file() else {}
    # Variables of the process are case-insensitive here, as pydantic-settings has it.
    first = [Place("environment", _lowered(env)), Place(str(Path(".env").resolve()), _lowered(dotenv))]
    return [*first, _profile(first)]


def explain(name: str) -> list[tuple[str, str]]:
    """Each place and what it says of the setting, the winning one first; secrets as their last four characters."""
    key = name.lower()
    if key not in Settings.model_fields and not key.startswith(PER_CLIENT):
        raise ConfigError(f"There is no setting {name.upper()}.", hint="`mailfleet config show` lists them all.")
    told = [(place.name, shown(key, place.values[key]) if place.values.get(key) else "not set") for place in places()]
    field = Settings.model_fields.get(key)
    default = field.get_default(call_default_factory=True) if field else None
    return [*told, ("default", "none" if default in (None, "") else str(default))]


def shown(name: str, value: object) -> str:
    """A value fit for a screen."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    text = str(value if value is not None else "")
    if not is_secret(name):
        return text
    return f"…{text[-4:]}" if len(text) >= 12 else ("…" if text else "")


def is_secret(name: str) -> bool:
    field = Settings.model_fields.get(name)
    return name.startswith(PER_CLIENT) or (field is not None and SecretStr in _kinds(field.annotation))


def missing(name: str) -> MissingSetting:
    """The error for a setting that is needed and absent."""
    looked = "; ".join(f"{place.name}: {_nearest(place, name)}" for place in places())
    return MissingSetting(
        f"{name.upper()} is needed and not set. Looked in {looked}.",
        hint=f"Set {name.upper()} in the environment, in .env, or in the profile file.",
        setting=name,
    )


def usable(folder: Path) -> Path:
    """The folder, made if it is not there. Raises ConfigError when nothing can be kept in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise ConfigError(
            f"The data folder {folder} cannot be written: {error.strerror or error}.",
            hint="Give this account the right to write there, or set MAILFLEET_HOME to another folder.",
        ) from error


def _nearest(place: Place, name: str) -> str:
    head = name.split("_", 1)[0] + "_"
    near = sorted(found.upper() for found in place.values if found.startswith(head) and found in _known())
    return f"has {', '.join(near)}" if near else "nothing of that kind"


def _is_setting(name: str) -> bool:
    return name in Settings.model_fields or name.startswith(PER_CLIENT)


def _known() -> set[str]:
    return set(Settings.model_fields)


def _profile(first: list[Place]) -> Place:
    def setting(name: str, default: str) -> str:
        return next((place.values[name] for place in first if place.values.get(name)), default)

    home = Path(setting("mailfleet_home", str(_HOME))).expanduser().resolve()
    path = home / "profiles" / f"{setting('mailfleet_profile', 'default')}.toml"
    try:
        read = tomllib.loads(path.read_text()) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise BadFile(f"The profile file {path} cannot be read: {error}.", hint="It is TOML: NAME = value.") from error
    return Place(str(path), {name.lower(): _text(value) for name, value in read.items()})


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return ",".join(map(str, value)) if isinstance(value, list) else json.dumps(value)


def _lowered(values: Mapping[str, str | None]) -> dict[str, str]:
    return {name.lower(): value for name, value in values.items() if value is not None}


def _decoded(name: str, value: Any) -> Any:
    if name not in _JSON or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _told(error: ValidationError, found: list[Place]) -> ConfigError:
    first = error.errors(include_input=False, include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "settings"
    where = next((place.name for place in found if place.values.get(name)), "the caller")
    field = Settings.model_fields.get(name)
    return ConfigError(
        f"{name.upper()} from {where} is not usable: {first['msg']}.",
        hint=(field.description or "") if field else "",
        setting=name,
    )


def _kinds(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) or (annotation,)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def environment_of(settings: Settings) -> dict[str, str]:
    """The settings as environment variables for a child process: this process' own, less every setting, plus these."""
    rest = {name: value for name, value in os.environ.items() if not _is_setting(name.lower())}
    return {**rest, **variables_of(settings)}


def variables_of(settings: Settings) -> dict[str, str]:
    """The settings alone, secrets among them."""
    own = {name.upper(): text for name in Settings.model_fields if (text := _exported(settings, name))}
    keys = {f"{PER_CLIENT}{slug}".upper(): key.get_secret_value() for slug, key in settings.smartlead_api_keys.items()}
    return {**own, **keys}


def _exported(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    if name == "smartlead_api_keys" or value in (None, "", {}):
        return ""
    if name == "mailfleet_home":
        return str(settings.home)
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return _text(value) if isinstance(value, dict) else str(value)
