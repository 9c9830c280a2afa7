with calendar as (
    select explode(sequence(first_date, last_date)) as date
    from (
        select
            min(order_date) as first_date,
            max(order_date) as last_date
        from silver.orders
    )
)

select
    date,
    year(date) as year,
    quarter(date) as quarter,
    month(date) as month,
    trunc(date, 'MONTH') as month_start,
    date_format(date, 'MMMM') as month_name,
    extract(yearofweek from date) as iso_year,
    weekofyear(date) as iso_week,
    day(date) as day_of_month,
    weekday(date) + 1 as day_of_week,
    date_format(date, 'EEEE') as day_name,
    weekday(date) >= 5 as is_weekend
from calendar
