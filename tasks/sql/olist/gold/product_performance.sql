with valid_items as (
    select
        items.order_id,
        items.product_id,
        items.product_category,
        items.price
    from silver.order_items as items
    inner join silver.orders as orders
        on items.order_id = orders.order_id
    where orders.order_status not in ('canceled', 'unavailable')
),

sales as (
    select
        product_category,
        count(distinct product_id) as products,
        count(*) as items,
        cast(sum(price) as decimal(18, 2)) as revenue
    from valid_items
    group by product_category
),

order_scores as (
    select
        order_id,
        avg(review_score) as review_score
    from silver.order_reviews
    group by order_id
),

-- An order with several items of a category speaks once for that category.
category_orders as (
    select distinct
        product_category,
        order_id
    from valid_items
),

order_measures as (
    select
        category_orders.product_category,
        count(*) as orders,
        avg(order_scores.review_score) as avg_review_score
    from category_orders
    left join order_scores
        on category_orders.order_id = order_scores.order_id
    group by category_orders.product_category
)

select
    sales.product_category,
    sales.products,
    sales.items,
    order_measures.orders,
    sales.revenue,
    cast(sales.revenue as double) / sales.items as avg_price,
    order_measures.avg_review_score,
    dense_rank() over (order by sales.revenue desc) as revenue_rank
from sales
inner join order_measures
    on sales.product_category = order_measures.product_category
