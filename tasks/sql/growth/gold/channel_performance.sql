with results as (
    select
        channel,
        count(*) as visitors,
        sum(signups) as signups,
        sum(customers) as customers,
        sum(revenue) as revenue
    from gold.visitor_journeys
    group by channel
),

costs as (
    select
        coalesce(channel, 'unknown') as channel,
        coalesce(sum(cost), 0) as cost
    from silver.visits
    group by coalesce(channel, 'unknown')
),

channels as (
    select
        costs.channel,
        coalesce(results.visitors, 0) as visitors,
        coalesce(results.signups, 0) as signups,
        coalesce(results.customers, 0) as customers,
        cast(coalesce(results.revenue, 0) as decimal(18, 2)) as revenue,
        cast(costs.cost as decimal(18, 2)) as cost
    from costs
    left join results
        on costs.channel = results.channel
)

select
    channel,
    visitors,
    signups,
    customers,
    revenue,
    cost,
    cast(cost as double) / nullif(customers, 0) as cac,
    cast(revenue as double) / cast(nullif(cost, 0) as double) as roas
from channels
