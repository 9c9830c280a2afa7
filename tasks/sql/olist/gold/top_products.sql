with products as (
    select
        trunc(orders.order_date, 'MONTH') as order_month,
        items.product_id,
        max(items.product_category) as product_category,
        count(*) as items,
        count(distinct items.order_id) as orders,
        cast(sum(items.price) as decimal(18, 2)) as revenue
    from silver.order_items as items
    inner join silver.orders as orders
        on items.order_id = orders.order_id
    where
        orders.order_status not in ('canceled', 'unavailable')
        and items.product_id is not null
    group by trunc(orders.order_date, 'MONTH'), items.product_id
),

ranked as (
    select
        *,
        row_number() over (
            partition by order_month
            order by revenue desc, items desc, product_id
        ) as revenue_rank
    from products
)

select
    order_month,
    revenue_rank,
    product_id,
    product_category,
    items,
    orders,
    revenue
from ranked
where revenue_rank <= 10
