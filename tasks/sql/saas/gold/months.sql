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

-- A change that altered nothing that the history tracks is in the current state alone, a delete in the history alone.
changes as (
    select changed_at
    from silver.subscriptions
    union all
    select coalesce(valid_to, valid_from)
    from silver.subscriptions_history
),

bounds as (
    select
        (select min(starts_at) from starts) as first_start,
        (select max(changed_at) from changes) as newest_change
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
    where first_start <= newest_change
)

select
    month,
    timestampadd(microsecond, -1, cast(add_months(month, 1) as timestamp)) as last_instant,
    least(last_instant, newest_change) as known_until
from months
