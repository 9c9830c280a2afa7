with item_totals as (
    select
        order_id,
        sum(price) as revenue
    from silver.order_items
    group by order_id
),

valid_orders as (
    select
        trunc(orders.order_date, 'MONTH') as order_month,
        item_totals.revenue
    from silver.orders as orders
    inner join item_totals
        on orders.order_id = item_totals.order_id
    where orders.order_status not in ('canceled', 'unavailable')
),

months as (
    select
        order_month,
        count(*) as orders,
        cast(sum(revenue) as decimal(18, 2)) as revenue
    from valid_orders
    group by order_month
)

-- Joined by calendar month rather than by lag(12): months without orders have no row.
-- The growth divides the exact difference, since revenue / previous - 1 cancels digits near zero.
select
    months.order_month,
    months.orders,
    months.revenue,
    previous.revenue as revenue_prev_year,
    cast(months.revenue - previous.revenue as double)
        / cast(nullif(previous.revenue, 0) as double) as yoy_growth
from months
left join months as previous
    on previous.order_month = add_months(months.order_month, -12)
