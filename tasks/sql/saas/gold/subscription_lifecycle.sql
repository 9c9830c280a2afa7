with as_of as (
    select max(changed_at) as newest_change
    from silver.subscriptions_history__events
),

spans as (
    select
        subscription_id,
        plan,
        valid_from,
        monthly_price,
        lag(monthly_price) over (
            partition by subscription_id
            order by valid_from
        ) as price_before
    from silver.subscriptions_history
),

histories as (
    select
        subscription_id,
        min_by(plan, valid_from) as first_plan,
        count_if(monthly_price > price_before) as upgrades,
        count_if(monthly_price < price_before) as downgrades
    from spans
    group by subscription_id
),

payments as (
    select
        subscription_id,
        sum(amount) as revenue
    from silver.invoices
    where status = 'paid'
    group by subscription_id
)

select
    subscriptions.subscription_id,
    histories.first_plan,
    subscriptions.plan as current_plan,
    subscriptions.status,
    subscriptions.started_at,
    subscriptions.ended_at,
    timestampdiff(
        day, subscriptions.started_at, coalesce(subscriptions.ended_at, as_of.newest_change)
    ) as tenure_days,
    coalesce(histories.upgrades, 0) as upgrades,
    coalesce(histories.downgrades, 0) as downgrades,
    cast(coalesce(payments.revenue, 0) as decimal(18, 2)) as lifetime_revenue
from silver.subscriptions as subscriptions
cross join as_of
left join histories
    on subscriptions.subscription_id = histories.subscription_id
left join payments
    on subscriptions.subscription_id = payments.subscription_id
