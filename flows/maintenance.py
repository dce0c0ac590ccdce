"""Maintenance: what keeps a machine that nobody watches tidy and truthful."""

from datetime import timedelta

from prefect import flow
from pydantic import Field

from flows._prefect_runs import ended
from storage import journal, lease
from storage.parameters import Parameters
from storage.runs import recorded
from storage.summary import RunSummary
from storage.sweep import delete_product, expired_products, stale, sweep


class MaintenanceParams(Parameters):
    """What to clear away."""

    keep_staging_days: float = Field(
        2.0, ge=0, description="age after which an interrupted run's half-made arrays are removed [days]"
    )
    keep_products_days: float | None = Field(
        None, gt=0, description="age after which published products are deleted [days]; empty keeps all"
    )
    keep_journal_days: float = Field(90.0, ge=1, description="age after which days of the journal are deleted [days]")
    dry_run: bool = Field(False, description="only say what would be done")


@flow(name="maintenance")
def maintenance(params: MaintenanceParams) -> RunSummary:
    """Close runs whose process is gone, sweep what they left behind, delete products and logs past their keeping time."""
    with recorded("maintenance", params, deduplicate=False) as run:
        closed = [] if params.dry_run else _closed()
        keep = timedelta(days=params.keep_staging_days)
        swept = stale(keep) if params.dry_run else sweep(keep)
        expired = expired_products(timedelta(days=params.keep_products_days)) if params.keep_products_days else []
        days = journal.older_than(timedelta(days=params.keep_journal_days))
        if not params.dry_run:
            for row in expired:
                delete_product(row)
            for day in days:
                day.unlink(missing_ok=True)
        deleted = [row.uri for row in expired] + [str(day) for day in days]
        run.report(closed=closed, swept=swept, deleted=deleted)
        run.record(n_closed=len(closed), n_swept=len(swept), n_deleted=len(deleted))
    return run.summary


def _closed() -> list[str]:
    """Close runs whose process is gone, and those elsewhere that Prefect knows to be over."""
    over = ended(lease.out_of_sight())
    lease.close(over, "its Prefect run is over, and its process is not on this machine")
    return over + lease.reconcile()
