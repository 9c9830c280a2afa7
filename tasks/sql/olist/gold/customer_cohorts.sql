-- Every order tells how far the data reach, a canceled one or one without items too.
with as_of as (
    select trunc(max(order_date), 'MONTH') as as_of_month
    from silver.orders
),

customer_months as (
    select distinct
        customer_unique_id,
        trunc(order_date, 'MONTH') as order_month
    from silver.orders
    where
        order_status not in ('canceled', 'unavailable')
        and customer_unique_id is not null
        and order_id in (select order_id from silver.order_items)
),

cohort_months as (
    select
        order_month,
        min(order_month) over (partition by customer_unique_id) as cohort_month
    from customer_months
),

activity as (
    select
        cohort_month,
        order_month,
        count(*) as active
    from cohort_months
    group by cohort_month, order_month
),

-- In their first month all customers of a cohort are active.
cohorts as (
    select
        cohort_month,
        active as cohort_size
    from activity
    where order_month = cohort_month
),

-- A month in which nobody came back has a row too.
months as (
    select
        cohorts.cohort_month,
        cohorts.cohort_size,
        explode(
            sequence(0, cast(months_between(as_of.as_of_month, cohorts.cohort_month) as int))
        ) as month_number
    from cohorts
    cross join as_of
)

select
    months.cohort_month,
    months.month_number,
    months.cohort_size,
    coalesce(activity.active, 0) as active,
    cast(coalesce(activity.active, 0) as double) / months.cohort_size as retention_rate
from months
left join activity
    on
        months.cohort_month = activity.cohort_month
        and add_months(months.cohort_month, months.month_number) = activity.order_month
