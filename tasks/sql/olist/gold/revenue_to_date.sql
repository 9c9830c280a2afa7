-- The calendar has every day, so that a day without a sale still tells how far its month and year are.
with days as (
    select
        calendar.calendar_date as order_date,
        coalesce(sales.revenue, 0) as revenue
    from gold.dim_date as calendar
    left join gold.daily_revenue as sales
        on calendar.calendar_date = sales.order_date
)

select
    order_date,
    cast(revenue as decimal(18, 2)) as revenue,
    cast(
        sum(revenue) over (
            partition by year(order_date), month(order_date)
            order by order_date
        ) as decimal(18, 2)
    ) as month_to_date,
    cast(
        sum(revenue) over (
            partition by year(order_date)
            order by order_date
        ) as decimal(18, 2)
    ) as year_to_date
from days
