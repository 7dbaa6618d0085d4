"""The dashboard of those who want to know how well the streams are predicted."""

from deploy.grafana.panels import GREEN, RED, STREAMS, YELLOW, Panel, Row, increase, rate

LOSS, BASELINE = "nobacktrack_loss_sum_total", "nobacktrack_baseline_loss_sum_total"
INSIDE, JUDGED = "nobacktrack_inside_measurements_total", "nobacktrack_judged_measurements_total"
SCORED = "nobacktrack_scored_events_total"


def share(part: str, whole: str) -> str:
    """Of each stream, the ratio of two counters' rates; nothing where there is nothing to compare with."""
    return f"{rate(part, 'stream', STREAMS)} / ({rate(whole, 'stream', STREAMS)} > 0)"


def whole(part: str, of: str) -> str:
    """The ratio over the time shown, all chosen streams together."""
    return f"{increase(part, STREAMS)} / ({increase(of, STREAMS)} > 0)"


NOW = Row("In the time shown", [
    Panel(
        "Loss / persistence",
        "Loss over the loss of persistence, which predicts the last value, in the time shown, all chosen streams "
        "together. Below 100 % the learners are worth having.",
        "percentunit", [(whole(LOSS, BASELINE), "")], "number", steps=[(0.95, YELLOW), (1.0, RED)], width=4, height=4,
    ),
    Panel(
        "Coverage of the 90 % intervals",
        "Share of the measurements in the time shown that lay inside the 90 % interval they had been given: 90 % when "
        "the intervals mean what they say.",
        "percentunit", [(whole(INSIDE, JUDGED), "")], "number", "no intervals in the time shown", base=YELLOW,
        steps=[(0.85, GREEN), (0.95, YELLOW)], width=4, height=4,
    ),
    Panel(
        "Events",
        "Events of the chosen streams that were learnt and made durable in the time shown.",
        "short", [(increase("nobacktrack_events_total", STREAMS), "")], "number", width=4, height=4,
    ),
    Panel(
        "Streams that learn",
        "Streams that have learnt an event just now; those beyond the named ones (NBT_METRIC_STREAMS) count as one, "
        "`other`.",
        "short", [(f"count({rate('nobacktrack_events_total', 'stream', STREAMS)} > 0) or vector(0)", "")], "number",
        width=4, height=4,
    ),
    Panel(
        "Anomalous events",
        "Events in the time shown with an anomaly score above 0.99. On noise that is no more than one in some 25 000.",
        "short", [(increase("nobacktrack_anomalous_events_total", STREAMS), "")], "number", width=4, height=4,
    ),
    Panel(
        "Drifting streams",
        "Streams whose newest 100 losses are clearly above those before, by three standard errors.",
        "short", [(f"sum(max by (stream) (nobacktrack_drifting{{{STREAMS}}})) or vector(0)", "")], "number",
        steps=[(1, YELLOW)], width=4, height=4,
    ),
])  # fmt: skip

PREDICTION = Row("Prediction", [
    Panel(
        "Loss against persistence",
        "Mean loss of an event, and that of persistence on the same events, dashed. The loss is the squared error over "
        "the mean square of the target's changes so far, so that persistence is near 1; of symbols, bits.",
        "short",
        [(share(LOSS, SCORED), "{{stream}}"), (share(BASELINE, SCORED), "{{stream}}: persistence")],
        width=12, least=0.0, dashed=".*: persistence",
    ),
    Panel(
        "Loss / persistence, by stream",
        "The ratio of the two. Below the line at 100 % a stream is predicted better than by its last value; a stream "
        "that stays above it may be noise, or have a configuration that does not suit it.",
        "percentunit", [(share(LOSS, BASELINE), "{{stream}}")], steps=[(1.0, RED)], line=True, width=12, least=0.0,
    ),
    Panel(
        "Loss / persistence, last hour",
        "The same ratio over the last hour, whatever time is shown, over all instances: what the alert "
        "LossWorseThanPersistence looks at.",
        "percentunit", [('stream:nobacktrack_loss:ratio_rate1h{stream=~"$stream"}', "{{stream}}")], "bars",
        "no events in the last hour", steps=[(0.95, YELLOW), (1.0, RED)], least=0.0,
    ),
    Panel(
        "Drift",
        "Coloured while a stream's newest 100 losses are clearly above the 900 before them. The series has changed, or "
        "its sensor; a learner follows by itself, so look whether the colour goes away.",
        "bool", [(f"max by (stream) (nobacktrack_drifting{{{STREAMS}}})", "{{stream}}")], "states",
        states=[("0", "steady", GREEN), ("1", "drifts", RED)],
    ),
    Panel(
        "Anomalous events, by stream",
        "Events per second with an anomaly score above 0.99: their errors are as surprising as a whole window of "
        "ordinary events has none.",
        "eps", [(rate("nobacktrack_anomalous_events_total", "stream", STREAMS), "{{stream}}")], least=0.0,
    ),
])  # fmt: skip

INTERVALS = Row("Intervals and labels", [
    Panel(
        "Coverage, by stream",
        "Share of the measurements inside the 90 % intervals that they had been given. The line is the 90 % that is "
        "meant. Too low: they are too narrow, mostly after a change; too high: wider than they need be.",
        "percentunit", [(share(INSIDE, JUDGED), "{{stream}}")], empty="no intervals in the time shown",
        steps=[(0.9, GREEN)], line=True, most=1.0,
    ),
    Panel(
        "Coverage, last hour",
        "The same share over the last hour, whatever time is shown, over all instances: what the alert CoverageOff "
        "looks at.",
        "percentunit", [('stream:nobacktrack_coverage:ratio_rate1h{stream=~"$stream"}', "{{stream}}")], "bars",
        "no intervals in the last hour", base=YELLOW, steps=[(0.85, GREEN), (0.95, YELLOW)], least=0.0, most=1.0,
    ),
    Panel(
        "Late labels",
        "Events that were answered by their prediction and wait for their label, as they come, and those whose label "
        "did not come in time (NBT_PENDING_TTL), which are learnt as missing.",
        "eps",
        [
            (rate("nobacktrack_deferred_events_total", where=STREAMS), "deferred"),
            (rate("nobacktrack_expired_events_total", where=STREAMS), "expired"),
        ],
        least=0.0,
    ),
])  # fmt: skip

GRADIENT = Row("Gradient", [
    Panel(
        "Gradient norm",
        "Bound on the norm of the gradient at the newest event of each stream; of exact RTRL the norm itself.",
        "short", [(f"max by (stream) (nobacktrack_gradient_norm{{{STREAMS}}})", "{{stream}}")], least=0.0,
    ),
    Panel(
        "Tangent norm",
        "Size |v||w| of the rank-one tangent after the newest event of each stream: how much of the past the estimate "
        "of the gradient carries on. It grows when a network remembers for long; 0 for estimators without one.",
        "short", [(f"max by (stream) (nobacktrack_tangent_norm{{{STREAMS}}})", "{{stream}}")], least=0.0,
    ),
    Panel(
        "Step size",
        "By how much the newest event moved the recurrent parameters of each stream, in units of Adam's step: the "
        "configuration's learning rate, which falls with the events, and falls further on a stream that is predicted "
        "almost exactly. 0 where they are frozen.",
        "short", [(f"max by (stream) (nobacktrack_step_size{{{STREAMS}}})", "{{stream}}")], least=0.0,
    ),
    Panel(
        "Guards",
        "Times per second that a guard acted: a tangent was `shrunk` to its bound, or a step was `skipped` and the "
        "tangents begun anew. All streams of the chosen instances.",
        "ops", [(rate("nobacktrack_guards_total", "guard"), "{{guard}}")], least=0.0,
    ),
])  # fmt: skip

TITLE = "NoBackTrack: learning"
DESCRIPTION = "How well each stream is predicted: against persistence, and against what its intervals promise."
ROWS = (NOW, PREDICTION, INTERVALS, GRADIENT)
