with calendar as (
    select explode(sequence(first_date, last_date)) as calendar_date
    from (
        select
            min(order_date) as first_date,
            max(order_date) as last_date
        from silver.orders
    )
)

select
    cast(date_format(calendar_date, 'yyyyMMdd') as int) as date_key,
    calendar_date,
    year(calendar_date) as year,
    quarter(calendar_date) as quarter,
    month(calendar_date) as month,
    date_format(calendar_date, 'MMMM') as month_name,
    trunc(calendar_date, 'MONTH') as month_start,
    extract(yearofweek from calendar_date) as iso_year,
    weekofyear(calendar_date) as iso_week,
    day(calendar_date) as day_of_month,
    weekday(calendar_date) + 1 as day_of_week,
    date_format(calendar_date, 'EEEE') as day_name,
    weekday(calendar_date) >= 5 as is_weekend
from calendar
