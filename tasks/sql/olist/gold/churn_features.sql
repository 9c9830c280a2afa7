-- Every order tells how far the data reach, a canceled one or one without items too.
with as_of as (
    select max(order_date) as as_of_date
    from silver.orders
),

item_totals as (
    select
        order_id,
        sum(price) as revenue
    from silver.order_items
    group by order_id
),

order_scores as (
    select
        order_id,
        avg(review_score) as review_score
    from silver.order_reviews
    group by order_id
),

valid_orders as (
    select
        orders.order_id,
        orders.customer_unique_id,
        orders.order_date,
        orders.is_delayed,
        orders.delivery_time_days,
        item_totals.revenue,
        order_scores.review_score
    from silver.orders as orders
    inner join item_totals
        on orders.order_id = item_totals.order_id
    left join order_scores
        on orders.order_id = order_scores.order_id
    where
        orders.order_status not in ('canceled', 'unavailable')
        and orders.customer_unique_id is not null
),

customers as (
    select
        customer_unique_id,
        max(order_date) as last_order_date,
        count(*) as orders,
        cast(sum(revenue) as decimal(18, 2)) as revenue,
        avg(review_score) as avg_review_score,
        count_if(is_delayed) as late_orders,
        avg(delivery_time_days) as avg_delivery_days
    from valid_orders
    group by customer_unique_id
),

-- Payments have their own grain: joined to the orders above they would multiply revenue.
payments as (
    select
        valid_orders.customer_unique_id,
        payments.payment_type,
        payments.payment_installments
    from silver.order_payments as payments
    inner join valid_orders
        on payments.order_id = valid_orders.order_id
),

installments as (
    select
        customer_unique_id,
        avg(payment_installments) as avg_installments
    from payments
    group by customer_unique_id
),

ranked_payment_types as (
    select
        customer_unique_id,
        payment_type,
        row_number() over (
            partition by customer_unique_id
            order by count(*) desc, payment_type
        ) as preference
    from payments
    where payment_type is not null
    group by customer_unique_id, payment_type
),

preferred_payment_types as (
    select
        customer_unique_id,
        payment_type as preferred_payment_type
    from ranked_payment_types
    where preference = 1
)

select
    customers.customer_unique_id,
    datediff(as_of.as_of_date, customers.last_order_date) as recency_days,
    customers.orders,
    customers.revenue,
    customers.avg_review_score,
    customers.late_orders,
    customers.avg_delivery_days,
    installments.avg_installments,
    preferred_payment_types.preferred_payment_type,
    recency_days > 180 as is_churned
from customers
cross join as_of
left join installments
    on customers.customer_unique_id = installments.customer_unique_id
left join preferred_payment_types
    on customers.customer_unique_id = preferred_payment_types.customer_unique_id
