-- Items are not asked for: the delivery of an order whose items are missing was still a delivery.
with delivered_orders as (
    select
        coalesce(customer_state, 'unknown') as customer_state,
        trunc(order_date, 'MONTH') as order_month,
        is_delayed,
        delivery_time_days,
        unix_micros(order_delivered_carrier_date) - unix_micros(order_approved_at)
            as handling_micros,
        unix_micros(order_delivered_customer_date) - unix_micros(order_delivered_carrier_date)
            as carrier_micros
    from silver.orders
    where
        order_status = 'delivered'
        and order_delivered_customer_date is not null
)

-- Whole microseconds are summed and scaled once, so that no span is rounded by itself.
select
    customer_state,
    order_month,
    count(*) as delivered_orders,
    count_if(not is_delayed) as on_time_orders,
    cast(count_if(not is_delayed) as double) / count(*) as on_time_rate,
    avg(delivery_time_days) as avg_delivery_days,
    percentile(delivery_time_days, 0.9) as p90_delivery_days,
    avg(handling_micros) / 86400000000 as avg_handling_days,
    avg(carrier_micros) / 86400000000 as avg_carrier_days
from delivered_orders
group by customer_state, order_month
