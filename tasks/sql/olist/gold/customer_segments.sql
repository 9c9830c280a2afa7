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
        max(order_date) as last_order_date,
        count(*) as frequency,
        cast(sum(revenue) as decimal(18, 2)) as monetary
    from valid_orders
    group by customer_unique_id
),

measures as (
    select
        customers.customer_unique_id,
        datediff(as_of.as_of_date, customers.last_order_date) as recency_days,
        customers.frequency,
        customers.monetary
    from customers
    cross join as_of
),

-- The customer's id breaks ties, so that equal customers always fall on the same side of a fifth.
scores as (
    select
        *,
        6 - ntile(5) over (order by recency_days, customer_unique_id) as r_score,
        ntile(5) over (order by frequency, customer_unique_id) as f_score,
        ntile(5) over (order by monetary, customer_unique_id) as m_score
    from measures
)

select
    customer_unique_id,
    recency_days,
    frequency,
    monetary,
    r_score,
    f_score,
    m_score,
    case
        when r_score >= 4 and f_score >= 4 then 'champions'
        when r_score <= 2 and f_score >= 4 then 'at_risk'
        when f_score >= 4 then 'loyal'
        when r_score >= 4 then 'recent'
        when r_score <= 2 then 'hibernating'
        else 'regular'
    end as segment
from scores
