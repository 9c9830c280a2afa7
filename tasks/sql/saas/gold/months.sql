with starts as (
    select started_at as starts_at
    from silver.subscriptions
    union all
    -- Of a deleted subscription only its spans are left.
    select history.valid_from
    from silver.subscriptions_history as history
    left anti join silver.subscriptions as subscriptions
        on history.subscription_id = subscriptions.subscription_id
),

-- The events have every change: also one that altered nothing that the history tracks, and a second delete.
bounds as (
    select
        (select min(starts_at) from starts) as first_start,
        (select max(changed_at) from silver.subscriptions_history__events) as newest_change
),

months as (
    select
        explode(sequence(
            trunc(to_date(first_start), 'MONTH'),
            trunc(to_date(newest_change), 'MONTH'),
            interval 1 month
        )) as month,
        newest_change
    from bounds
    -- by months: the first start may lie after the newest change of its month
    where trunc(to_date(first_start), 'MONTH') <= trunc(to_date(newest_change), 'MONTH')
)

select
    month,
    timestampadd(microsecond, -1, cast(add_months(month, 1) as timestamp)) as last_instant,
    least(last_instant, newest_change) as known_until
from months
