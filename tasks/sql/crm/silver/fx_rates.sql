with delivered as (
    select
        date,
        currency,
        usd_rate,
        lead(date) over (
            partition by currency
            order by date
        ) as next_date
    from silver.fx_deliveries
),

newest as (
    select max(date) as date
    from (
        select date
        from silver.fx_deliveries
        union all
        select order_date as date
        from silver.orders
    )
)

select
    explode(sequence(
        delivered.date,
        coalesce(date_sub(delivered.next_date, 1), newest.date)
    )) as date,
    delivered.currency,
    delivered.usd_rate,
    delivered.date as rate_date
from delivered
cross join newest
