"""The dashboard of those who run the service."""

from deploy.grafana.panels import (
    CHOSEN,
    GREEN,
    RED,
    STREAMS,
    YELLOW,
    Panel,
    Row,
    increase,
    quantile,
    quantiles,
    rate,
)

YES_OR_NO = [("0", "no", RED), ("1", "yes", GREEN)]
NO_SCRAPE = "not scraped"


def gauge(name: str) -> list[tuple[str, str]]:
    """One value for each instance."""
    return [(f"max by (instance) ({name}{{{CHOSEN}}})", "{{instance}}")]


def heat(histogram: str) -> list[tuple[str, str]]:
    """How many fell into each bucket."""
    return [(rate(f"{histogram}_bucket", "le"), "{{le}}")]


NOW = Row("Now", [
    Panel(
        "Up", "Whether Prometheus reaches every chosen instance.", "bool",
        [(f'min(up{{job="nobacktrack", {CHOSEN}}})', "")], "number", NO_SCRAPE, states=YES_OR_NO, width=3, height=4,
    ),
    Panel(
        "Ready", "Whether every chosen instance has compiled its kernels and reaches its store.", "bool",
        [(f"min(nobacktrack_ready{{{CHOSEN}}})", "")], "number", NO_SCRAPE, states=YES_OR_NO, width=3, height=4,
    ),
    Panel(
        "Alerts",
        "Alerts of deploy/prometheus/rules.yml that fire; what each of them wants is in deploy/RUNBOOK.md.", "short",
        [('count(ALERTS{alertstate="firing"}) or vector(0)', "")], "number", NO_SCRAPE, steps=[(1, RED)], width=3,
        height=4,
    ),
    Panel(
        "Events", "Events learnt and made durable, per second.", "eps",
        [(rate("nobacktrack_events_total", where=STREAMS), "")], "number", width=3, height=4,
    ),
    Panel(
        "Update, 99 %", "99 in 100 events are learnt faster than this.", "s",
        [(quantile(0.99, "nobacktrack_update_seconds"), "")], "number", steps=[(0.1, YELLOW)], width=3, height=4,
    ),
    Panel(
        "Commit, 99 %", "99 in 100 commits are in the store faster than this.", "s",
        [(quantile(0.99, "nobacktrack_commit_seconds"), "")], "number", steps=[(0.25, YELLOW)], width=3, height=4,
    ),
    Panel(
        "Refused", "Requests and events refused in the time shown, for every reason.", "short",
        [(increase("nobacktrack_refused_total"), "")], "number", NO_SCRAPE, width=3, height=4,
    ),
    Panel(
        "Running for", "Since the youngest of the chosen instances started.", "s",
        [(f"min(time() - process_start_time_seconds{{job=\"nobacktrack\", {CHOSEN}}})", "")], "number", NO_SCRAPE,
        width=3, height=4,
    ),
])  # fmt: skip

TRAFFIC = Row("Traffic", [
    Panel(
        "Events, by instance", "Events learnt and made durable, per second.", "eps",
        [(rate("nobacktrack_events_total", "instance", STREAMS), "{{instance}}")], least=0.0,
    ),
    Panel(
        "Requests", "HTTP requests answered per second, by route and status. A WebSocket is none of them.", "reqps",
        [(rate("nobacktrack_request_seconds_count", "method, route, status"), "{{method}} {{route}} {{status}}")],
        empty="no requests in the time shown", least=0.0,
    ),
    Panel(
        "Refused, by type",
        "Requests and events refused per second, by the type of the error: `unavailable` is the store, `too-many` a "
        "limit, `internal` a defect; the rest is what clients did wrong.",
        "ops", [(f"({rate('nobacktrack_refused_total', 'type')} > 0) or on () vector(0)", "{{type}}")],
        empty=NO_SCRAPE, least=0.0,
    ),
    Panel(
        "Conflicts, duplicates, rewinds",
        "Per second: commits that another replica was first with, which are done again; events whose id had been "
        "learnt, which get their first answer; heads found behind what the store had acknowledged: it lost events.",
        "ops",
        [
            (rate("nobacktrack_conflicts_total"), "conflicts"),
            (rate("nobacktrack_duplicates_total", where=STREAMS), "duplicates"),
            (rate("nobacktrack_rewinds_total"), "rewinds"),
        ],
        empty=NO_SCRAPE, least=0.0,
    ),
    Panel(
        "Queue", "Events that wait to be learnt, in all streams. It grows when they come faster than they are learnt.",
        "short", gauge("nobacktrack_queued_events"), empty=NO_SCRAPE, least=0.0,
    ),
    Panel(
        "WebSockets", "WebSocket connections that are open.", "short", gauge("nobacktrack_websockets"),
        empty=NO_SCRAPE, least=0.0,
    ),
])  # fmt: skip

LATENCY = Row("Latency", [
    Panel("Update", "Time to learn one event: predict, score, learn.", "s", quantiles("nobacktrack_update_seconds"),
          least=0.0),
    Panel("Commit", "Time to make one batch of events durable in the store.", "s",
          quantiles("nobacktrack_commit_seconds"), least=0.0),
    Panel(
        "Requests, 99 % by route", "99 in 100 requests are answered faster than this, until the last byte.", "s",
        [(quantile(0.99, "nobacktrack_request_seconds", "method, route"), "{{method}} {{route}}")],
        empty="no requests in the time shown", least=0.0,
    ),
    Panel("Updates, all", "How many events per second took how long to learn.", "s",
          heat("nobacktrack_update_seconds"), "heat"),
    Panel("Commits, all", "How many commits per second took how long.", "s",
          heat("nobacktrack_commit_seconds"), "heat"),
    Panel(
        "Events in a commit",
        "Mean, and the size that 99 in 100 commits do not exceed. Under load events of one stream share a commit: 1 "
        "while the store keeps up.",
        "short",
        [
            (f"{rate('nobacktrack_commit_events_sum')} / ({rate('nobacktrack_commit_events_count')} > 0)", "mean"),
            (quantile(0.99, "nobacktrack_commit_events"), "99 %"),
        ],
        least=0.0,
    ),
])  # fmt: skip

STORE = Row("Store", [
    Panel(
        "Store answers", "Whether the store answered each scrape within a quarter of a second.", "bool",
        gauge("nobacktrack_store_up"), "states", NO_SCRAPE, states=YES_OR_NO,
    ),
    Panel(
        "Store memory",
        "Memory of the store, of its fullest server where it has several, and its limit, dashed, where it has one. A "
        "full store takes no events.",
        "bytes",
        [
            (f"max(nobacktrack_store_bytes{{{CHOSEN}}})", "used"),
            (f"max(nobacktrack_store_limit_bytes{{{CHOSEN}}})", "limit"),
        ],
        empty="the store does not say", least=0.0, dashed="limit",
    ),
    Panel(
        "Failures of the store",
        "Per second: commits that the store refused or did not answer, which are tried again; checkpoints that it did "
        "not take, without loss; checkpoints that could not be read, where an older one was.",
        "ops",
        [
            (rate("nobacktrack_failed_commits_total"), "commits"),
            (rate("nobacktrack_failed_checkpoints_total"), "checkpoints"),
            (rate("nobacktrack_damaged_checkpoints_total"), "damaged checkpoints"),
        ],
        empty=NO_SCRAPE, least=0.0,
    ),
    Panel("Checkpoints", "Checkpoints written, per second.", "ops",
          [(rate("nobacktrack_checkpoints_total", "instance"), "{{instance}}")], empty=NO_SCRAPE, least=0.0),
    Panel(
        "Events without a checkpoint",
        "Of the stream in memory that has most of them, and the setting NBT_CHECKPOINT_EVERY, dashed. Far above it, "
        "checkpoints do not get written.",
        "short",
        [
            *gauge("nobacktrack_unsaved_events"),
            (f"max(nobacktrack_checkpoint_every_events{{{CHOSEN}}})", "checkpoint every"),
        ],
        empty=NO_SCRAPE, least=0.0, dashed="checkpoint every",
    ),
    Panel(
        "Time without a checkpoint",
        "Of the stream in memory where it is longest: how long it has had events that no checkpoint has, and the "
        "learning that a restart would have to repeat. A quiet stream waits long, and costs nothing.",
        "s",
        [
            (f"max(nobacktrack_unsaved_age_seconds{{{CHOSEN}}})", "age"),
            (f"max(nobacktrack_replay_seconds{{{CHOSEN}}})", "to learn again"),
        ],
        empty=NO_SCRAPE, least=0.0,
    ),
])  # fmt: skip

PROCESS = Row("Process", [
    Panel("Learners in memory", "Hot copies: learners that need not be loaded from the store.", "short",
          gauge("nobacktrack_hot_learners"), empty=NO_SCRAPE, least=0.0),
    Panel(
        "Evictions",
        "Learners per second that left memory to make room (NBT_HOT_BYTES). Each comes back with a load and a replay; "
        "a steady rate means that the streams in use do not fit.",
        "ops", [(rate("nobacktrack_hot_evictions_total", "instance"), "{{instance}}")], empty=NO_SCRAPE, least=0.0,
    ),
    Panel(
        "Memory", "Memory of the process, and what of it are learners, dashed.", "bytes",
        [
            (f"max by (instance) (process_resident_memory_bytes{{job=\"nobacktrack\", {CHOSEN}}})", "{{instance}}"),
            (f"max by (instance) (nobacktrack_hot_bytes{{{CHOSEN}}})", "{{instance}}: learners"),
        ],
        empty=NO_SCRAPE, least=0.0, dashed=".*: learners",
    ),
    Panel("Processor", "Processors in use: 100 % is one of them.", "percentunit",
          [(rate("process_cpu_seconds_total", "instance", f'job="nobacktrack", {CHOSEN}'), "{{instance}}")],
          empty=NO_SCRAPE, least=0.0),
    Panel(
        "File descriptors", "Open files and connections, and how many there may be, dashed.", "short",
        [
            (f"max by (instance) (process_open_fds{{job=\"nobacktrack\", {CHOSEN}}})", "{{instance}}"),
            (f"min(process_max_fds{{job=\"nobacktrack\", {CHOSEN}}})", "limit"),
        ],
        empty=NO_SCRAPE, least=0.0, dashed="limit",
    ),
])  # fmt: skip

TITLE = "NoBackTrack: service"
DESCRIPTION = "What the service does, how long it takes, and how its store and its process are."
ROWS = (NOW, TRAFFIC, LATENCY, STORE, PROCESS)
