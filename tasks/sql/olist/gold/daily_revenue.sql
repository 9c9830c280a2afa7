with item_totals as (
    select
        order_id,
        count(*) as items,
        sum(price) as revenue,
        sum(freight_value) as freight
    from silver.order_items
    group by order_id
),

valid_orders as (
    select
        orders.order_date,
        orders.customer_unique_id,
        item_totals.items,
        item_totals.revenue,
        item_totals.freight
    from silver.orders as orders
    inner join item_totals
        on orders.order_id = item_totals.order_id
    where orders.order_status not in ('canceled', 'unavailable')
)

select
    order_date,
    count(*) as orders,
    sum(items) as items,
    count(distinct customer_unique_id) as customers,
    cast(sum(revenue) as decimal(18, 2)) as revenue,
    cast(sum(freight) as decimal(18, 2)) as freight,
    cast(sum(revenue) as double) / count(*) as avg_order_value
from valid_orders
group by order_date
