with spans as (
    select
        min(visit_date) as first_date,
        max(visit_date) as last_date
    from silver.visits
    union all
    select
        min(signup_date),
        max(signup_date)
    from silver.signups
    union all
    select
        min(event_date),
        max(event_date)
    from silver.product_events
    union all
    select
        min(to_date(assigned_at)),
        max(to_date(assigned_at))
    from silver.experiments
    union all
    select
        to_date(least(min(issued_at), min(paid_at))),
        to_date(greatest(max(issued_at), max(paid_at)))
    from silver.billing
    union all
    select
        to_date(least(min(opened_at), min(first_response_at), min(resolved_at))),
        to_date(greatest(max(opened_at), max(first_response_at), max(resolved_at)))
    from silver.support_tickets
)

select explode(sequence(min(first_date), max(last_date))) as date
from spans
