-- One row a seller and order: an order with several items of a seller counts once for that seller.
with seller_orders as (
    select
        seller_id,
        order_id,
        count(*) as items,
        sum(price) as revenue
    from silver.order_items
    where seller_id is not null
    group by seller_id, order_id
),

valid_orders as (
    select
        order_id,
        order_status = 'delivered' and order_delivered_customer_date is not null as is_delivered,
        is_delayed
    from silver.orders
    where order_status not in ('canceled', 'unavailable')
),

order_scores as (
    select
        order_id,
        avg(review_score) as review_score
    from silver.order_reviews
    group by order_id
),

measures as (
    select
        seller_orders.seller_id,
        count(*) as orders,
        sum(seller_orders.items) as items,
        cast(sum(seller_orders.revenue) as decimal(18, 2)) as revenue,
        avg(order_scores.review_score) as avg_review_score,
        count_if(valid_orders.is_delivered) as delivered_orders,
        count_if(valid_orders.is_delivered and not valid_orders.is_delayed) as on_time_orders
    from seller_orders
    inner join valid_orders
        on seller_orders.order_id = valid_orders.order_id
    left join order_scores
        on seller_orders.order_id = order_scores.order_id
    group by seller_orders.seller_id
)

select
    measures.seller_id,
    sellers.seller_state,
    measures.orders,
    measures.items,
    measures.revenue,
    measures.avg_review_score,
    cast(measures.on_time_orders as double) / nullif(measures.delivered_orders, 0) as on_time_rate,
    dense_rank() over (order by measures.revenue desc) as revenue_rank
from measures
left join silver.sellers as sellers
    on measures.seller_id = sellers.seller_id
