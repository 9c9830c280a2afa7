with users as (
    select
        user_id,
        month,
        min(month) over (partition by user_id) as cohort_month
    from gold.user_mrr_monthly
),

retained as (
    select
        cohort_month,
        month,
        count(*) as users
    from users
    group by cohort_month, month
),

cohorts as (
    select
        cohort_month,
        users as cohort_size
    from retained
    where month = cohort_month
)

select
    cohorts.cohort_month,
    cast(months_between(months.month, cohorts.cohort_month) as int) as month_number,
    cohorts.cohort_size,
    coalesce(retained.users, 0) as retained,
    coalesce(retained.users, 0) / cohorts.cohort_size as retention_rate
from cohorts
inner join gold.months as months
    on months.month >= cohorts.cohort_month
left join retained
    on
        retained.cohort_month = cohorts.cohort_month
        and retained.month = months.month
