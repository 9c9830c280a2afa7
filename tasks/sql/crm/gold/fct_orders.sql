with orders as (
    select
        orders.*,
        case
            when orders.currency = 'USD' then cast(1 as decimal(18, 8))
            else rates.usd_rate
        end as usd_rate
    from silver.orders as orders
    left join silver.fx_rates as rates
        on
            orders.order_date = rates.date
            and orders.currency = rates.currency
)

select
    orders.order_id,
    orders.customer_id,
    coalesce(customers.customer_sk, 'unknown') as customer_sk,
    coalesce(customers.segment, 'unknown') as segment,
    orders.ordered_at,
    orders.order_date,
    orders.amount,
    orders.currency,
    orders.status,
    orders.usd_rate,
    cast(orders.amount * orders.usd_rate as decimal(18, 2)) as amount_usd,
    cast(orders.refunded_amount * orders.usd_rate as decimal(18, 2)) as refunded_usd
from orders
left join gold.dim_customer as customers
    on
        orders.customer_id = customers.customer_id
        and orders.ordered_at >= customers.valid_from
        and (customers.valid_to is null or orders.ordered_at < customers.valid_to)
