with item_totals as (
    select
        order_id,
        sum(price) as revenue
    from silver.order_items
    group by order_id
),

valid_orders as (
    select
        orders.customer_unique_id,
        orders.order_date,
        item_totals.revenue
    from silver.orders as orders
    inner join item_totals
        on orders.order_id = item_totals.order_id
    where
        orders.order_status not in ('canceled', 'unavailable')
        and orders.customer_unique_id is not null
),

customers as (
    select
        customer_unique_id,
        count(*) as orders,
        cast(sum(revenue) as decimal(18, 2)) as revenue,
        min(order_date) as first_order_date,
        max(order_date) as last_order_date,
        count(distinct trunc(order_date, 'MONTH')) as active_months
    from valid_orders
    group by customer_unique_id
)

select
    customer_unique_id,
    orders,
    revenue,
    cast(revenue as double) / orders as avg_order_value,
    first_order_date,
    last_order_date,
    active_months,
    cast(orders as double) / active_months as purchase_frequency
from customers
