"""A measurement: a flow's KPIs over one window, as a source told them."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from knowngood.genesys.port import FlowCounts
from knowngood.health.kpis import KPIS, KpiValue
from knowngood.health.kpis.base import offered
from knowngood.health.windows import Window


class Measurement(BaseModel):
    """KPIs over a window.

    `volume` is the number of calls, None when the source told nothing: no data is not zero calls.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    flow_id: str
    window: Window
    source: str = Field(description="the dialect that answered: guide or platform")
    version_id: str | None = Field(default=None, description="where the source counts by version")
    volume: int | None = None
    values: Mapping[str, KpiValue] = Field(default_factory=dict, description="by the KPI's name")
    complete: bool = Field(
        default=True, description="False while buckets of the window are still missing"
    )


def measured(
    counts: FlowCounts | None, *, flow_id: str, window: Window, source: str
) -> Measurement:
    """Make a measurement of what the source counted; None stands for a flow it did not name."""
    if counts is None:
        return Measurement(flow_id=flow_id, window=window, source=source)
    read = {kpi.name: kpi.measure(counts) for kpi in KPIS}
    return Measurement(
        flow_id=flow_id,
        window=window,
        source=source,
        version_id=counts.version_id,
        volume=offered(counts),
        values={name: value for name, value in read.items() if value is not None},
        complete=counts.complete,
    )
