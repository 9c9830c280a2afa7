with as_of as (
    select max(updated_at) as newest_change
    from silver.deals_history__events
),

deals as (
    select
        stage,
        count(*) as deals,
        sum(amount) as amount,
        sum(amount * cast(probability as decimal(9, 8))) as weighted_amount
    from silver.deals
    group by stage
),

times as (
    select
        history.stage,
        avg(
            (
                unix_micros(coalesce(history.valid_to, as_of.newest_change))
                - unix_micros(history.valid_from)
            ) / 86400e6
        ) as avg_days_in_stage
    from silver.deals_history as history
    cross join as_of
    group by history.stage
),

reached as (
    select distinct
        history.stage,
        history.deal_id,
        deals.is_won
    from silver.deals_history as history
    inner join silver.deals as deals
        on history.deal_id = deals.deal_id
    where deals.is_closed
),

outcomes as (
    select
        stage,
        count_if(is_won) / count(*) as win_rate
    from reached
    group by stage
)

-- Every deal is in a span of its history, so that no stage is missing in times.
select
    times.stage,
    coalesce(deals.deals, 0) as deals,
    cast(coalesce(deals.amount, 0) as decimal(18, 2)) as amount,
    cast(coalesce(deals.weighted_amount, 0) as decimal(18, 2)) as weighted_amount,
    times.avg_days_in_stage,
    outcomes.win_rate
from times
left join deals
    on times.stage = deals.stage
left join outcomes
    on times.stage = outcomes.stage
