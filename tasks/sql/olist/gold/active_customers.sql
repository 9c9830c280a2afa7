with customer_days as (
    select distinct
        customer_unique_id,
        order_date
    from silver.orders
    where
        order_status not in ('canceled', 'unavailable')
        and customer_unique_id is not null
        and order_id in (select order_id from silver.order_items)
),

spans as (
    select
        order_date,
        lead(order_date) over (
            partition by customer_unique_id
            order by order_date
        ) as next_date,
        row_number() over (
            partition by customer_unique_id, trunc(order_date, 'MONTH')
            order by order_date
        ) = 1 as is_first_of_month
    from customer_days
),

-- A customer enters a trailing window on a day with an order, and leaves it when the window has moved on
-- or, not to be counted twice, on the next such day. (least passes over the null of the last day.)
moves as (
    select
        order_date,
        1 as days,
        if(is_first_of_month, 1, 0) as months,
        1 as moves_30,
        1 as moves_90
    from spans
    union all
    select
        least(date_add(order_date, 30), next_date) as order_date,
        0 as days,
        0 as months,
        -1 as moves_30,
        0 as moves_90
    from spans
    union all
    select
        least(date_add(order_date, 90), next_date) as order_date,
        0 as days,
        0 as months,
        0 as moves_30,
        -1 as moves_90
    from spans
),

daily_moves as (
    select
        order_date,
        sum(days) as days,
        sum(months) as months,
        sum(moves_30) as moves_30,
        sum(moves_90) as moves_90
    from moves
    group by order_date
)

-- The calendar has no gaps, so no move is passed over.
select
    calendar.calendar_date as order_date,
    coalesce(daily_moves.days, 0) as active_day,
    coalesce(
        sum(daily_moves.months) over (
            partition by trunc(calendar.calendar_date, 'MONTH')
            order by calendar.calendar_date
        ),
        0
    ) as active_month_to_date,
    coalesce(sum(daily_moves.moves_30) over (order by calendar.calendar_date), 0) as active_30_days,
    coalesce(sum(daily_moves.moves_90) over (order by calendar.calendar_date), 0) as active_90_days
from gold.dim_date as calendar
left join daily_moves
    on calendar.calendar_date = daily_moves.order_date
