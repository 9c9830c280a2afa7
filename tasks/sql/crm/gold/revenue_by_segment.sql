with totals as (
    select
        trunc(order_date, 'MONTH') as month,
        segment,
        count(*) as orders,
        cast(coalesce(sum(amount_usd), 0) as decimal(18, 2)) as gross_usd,
        cast(coalesce(sum(refunded_usd), 0) as decimal(18, 2)) as refunded_usd
    from gold.fct_orders
    group by trunc(order_date, 'MONTH'), segment
)

select
    month,
    segment,
    orders,
    gross_usd,
    refunded_usd,
    cast(gross_usd - refunded_usd as decimal(18, 2)) as net_usd
from totals
