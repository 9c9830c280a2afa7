select
    history.user_id,
    months.month,
    cast(sum(history.monthly_price) as decimal(18, 2)) as mrr,
    count(*) as subscriptions
from gold.months as months
inner join silver.subscriptions_history as history
    on
        history.valid_from <= months.last_instant
        and (history.valid_to is null or history.valid_to > months.last_instant)
        and (history.ended_at is null or history.ended_at > months.last_instant)
where history.status in ('active', 'past_due')
group by history.user_id, months.month
having sum(history.monthly_price) > 0
