"""What a dashboard is made of: a panel as what it asks and what it means, and how each kind of panel is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.models import common as look
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = model.DataSourceRef(type_val="prometheus", uid="prometheus")
"""The data source that is provisioned."""
CHOSEN = 'instance=~"$instance"'
"""Matches the chosen instances;"""
STREAMS = f'{CHOSEN}, stream=~"$stream"'
"""and of what is kept for each stream, the chosen ones."""

Kind: TypeAlias = Literal["number", "lines", "heat", "bars", "states"]
Builder: TypeAlias = bargauge.Panel | heatmap.Panel | stat.Panel | statetimeline.Panel | timeseries.Panel
GREEN, YELLOW, RED = "green", "yellow", "red"


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `description` is what people read when they ask what it means, in Grafana and in the handbook."""

    title: str
    description: str
    unit: str
    """One of Grafana's."""
    queries: Sequence[tuple[str, str]]
    """(PromQL, legend)."""
    kind: Kind = "lines"
    empty: str = "no events in the time shown"
    """What is written where there is nothing to draw."""
    steps: Sequence[tuple[float, str]] = ()
    """Thresholds: from so much on the value has this colour. Of a value below all of them `base`."""
    base: str = GREEN
    line: bool = False
    """Whether the thresholds are drawn as lines."""
    width: int = 8
    height: int = 8
    least: float | None = None
    """Where the axis begins, at the latest."""
    most: float | None = None
    """Where it ends, at the earliest."""
    dashed: str = ""
    """Legends that this pattern matches have dashed lines."""
    states: Sequence[tuple[str, str, str]] = ()
    """(value, word, colour)."""


@dataclass(frozen=True, slots=True)
class Row:
    """A heading, and what is below it."""

    title: str
    panels: Sequence[Panel]


def rate(metric: str, by: str = "", where: str = CHOSEN) -> str:
    """A counter's rise per second, as a sum for each value of the labels `by`."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric}{{{where}}}[$__rate_interval]))"


def increase(metric: str, where: str = CHOSEN) -> str:
    """A counter's rise over the time shown."""
    return f"sum(increase({metric}{{{where}}}[$__range]))"


def quantile(q: float, histogram: str, by: str = "") -> str:
    """A quantile of a histogram. One in which nothing fell has none; Prometheus would say NaN, which is not above 0."""
    return f"histogram_quantile({q}, {rate(f'{histogram}_bucket', f'le, {by}' if by else 'le')}) > 0"


def quantiles(histogram: str) -> list[tuple[str, str]]:
    """The three that are drawn together."""
    return [(quantile(q, histogram), f"{100 * q:g} %") for q in (0.5, 0.9, 0.99)]


def drawn(panel: Panel, number: int) -> Builder:
    """The panel as Grafana has it, with the id `number`."""
    made = _kind(panel)
    made.id(number).title(panel.title).description(panel.description).datasource(SOURCE)
    made.span(panel.width).height(panel.height).unit(panel.unit).no_value(panel.empty)
    by_value = panel.kind != "lines"
    colours = model.FieldColorModeId.THRESHOLDS if by_value else model.FieldColorModeId.PALETTE_CLASSIC
    made.color_scheme(dashboard.FieldColor().mode(colours))
    for place, (expression, legend) in enumerate(panel.queries):
        query = prometheus.Dataquery().expr(expression).legend_format(legend or "__auto").datasource(SOURCE)
        query.ref_id(chr(ord("A") + place))
        if panel.kind in ("number", "bars"):
            query.instant()
        else:
            query.range()
        if panel.kind == "heat":
            query.format(PromQueryFormat.HEATMAP)
        made.with_target(query)
    steps = [model.Threshold(value=None, color=panel.base), *(model.Threshold(*step) for step in panel.steps)]
    if panel.kind != "heat":
        made.thresholds(dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps))
    if panel.kind == "number" and panel.unit == "short":
        made.decimals(0)  # counts, which `increase` makes fractions of
    if panel.least is not None:
        made.min(panel.least)
    if panel.most is not None:
        made.max(panel.most)
    if panel.states:
        words = {value: model.ValueMappingResult(text=word, color=colour) for value, word, colour in panel.states}
        made.mappings([model.ValueMap(options=words)])
    return made


def _kind(panel: Panel) -> Builder:
    last = common.ReduceDataOptions().calcs(["lastNotNull"])
    if panel.kind == "number":
        mode = look.BigValueColorMode.VALUE if panel.steps or panel.states else look.BigValueColorMode.NONE
        return stat.Panel().reduce_options(last).color_mode(mode).graph_mode(look.BigValueGraphMode.NONE)
    if panel.kind == "bars":
        return bargauge.Panel().reduce_options(last).orientation(look.VizOrientation.HORIZONTAL)
    if panel.kind == "heat":
        colours = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Blues").steps(64)
        axis = heatmap.YAxisConfig().unit(panel.unit)
        return heatmap.Panel().calculate(False).color(colours).y_axis(axis).cell_gap(0)
    if panel.kind == "states":
        return statetimeline.Panel().row_height(0.8).show_value(look.VisibilityMode.NEVER).merge_values(True)
    lines = timeseries.Panel().line_width(1).fill_opacity(0).show_points(look.VisibilityMode.AUTO).span_nulls(False)
    lines.legend(
        common.VizLegendOptions()
        .display_mode(look.LegendDisplayMode.LIST)
        .placement(look.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    lines.tooltip(common.VizTooltipOptions().mode(look.TooltipDisplayMode.MULTI).sort(look.SortOrder.DESCENDING))
    if panel.line:
        lines.thresholds_style(common.GraphThresholdsStyleConfig().mode(look.GraphThresholdsStyleMode.DASHED))
    if panel.dashed:
        style = {"fill": "dash", "dash": [6, 4]}
        lines.override_by_regexp(panel.dashed, [model.DynamicConfigValue("custom.lineStyle", style)])
    return lines


def board(uid: str, title: str, description: str, rows: Sequence[Row]) -> model.Dashboard:
    """A dashboard, read-only, with variables that choose instances and streams."""
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["nobacktrack"])
        .readonly()
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .refresh("5s")
        .time("now-30m", "now")
        .timezone("browser")
        .variables(
            [
                _variable("instance", "Instance", "label_values(nobacktrack_ready, instance)"),
                _variable("stream", "Stream", f"label_values(nobacktrack_events_total{{{CHOSEN}}}, stream)"),
            ]
        )
    )
    link = dashboard.DashboardLink("NoBackTrack").type(model.DashboardLinkType.DASHBOARDS).tags(["nobacktrack"])
    made.link(link.icon("").tooltip("").url("").include_vars(True).keep_time(True))
    number = 0
    for row in rows:
        number += 1
        made.with_row(dashboard.Row(row.title).id(number))
        for panel in row.panels:
            number += 1
            made.with_panel(drawn(panel, number))
    return made.build()


def _variable(name: str, label: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .definition(query)
        .query({"query": query, "refId": name})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(model.VariableOption(text=["All"], value=["$__all"]))
    )
