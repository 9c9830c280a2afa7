with users as (
    select
        user_id,
        month,
        mrr,
        min(month) over (partition by user_id) as first_month
    from gold.user_mrr_monthly
),

-- Each user's month beside the month before; one side is missing where the user paid nothing in it.
pairs as (
    select
        coalesce(this.month, add_months(before.month, 1)) as month,
        coalesce(this.mrr, 0) as mrr,
        coalesce(before.mrr, 0) as mrr_before,
        this.month = this.first_month as is_first
    from users as this
    full outer join users as before
        on
            this.user_id = before.user_id
            and this.month = add_months(before.month, 1)
),

movements as (
    select
        month,
        mrr,
        mrr - mrr_before as change,
        case
            when mrr_before = 0 and is_first then 'new'
            when mrr_before = 0 then 'reactivation'
            when mrr = 0 then 'churned'
            when mrr > mrr_before then 'expansion'
            when mrr < mrr_before then 'contraction'
        end as movement
    from pairs
),

totals as (
    select
        month,
        sum(mrr) as mrr,
        count_if(mrr > 0) as customers,
        sum(change) filter (where movement = 'new') as new_mrr,
        sum(change) filter (where movement = 'reactivation') as reactivation_mrr,
        sum(change) filter (where movement = 'expansion') as expansion_mrr,
        sum(change) filter (where movement = 'contraction') as contraction_mrr,
        sum(change) filter (where movement = 'churned') as churned_mrr,
        count_if(movement = 'new') as new_customers,
        count_if(movement = 'reactivation') as reactivated_customers,
        count_if(movement = 'churned') as churned_customers
    from movements
    group by month
)

-- The last month's users would churn in a month that has not begun: months.month leaves it out.
select
    months.month,
    cast(coalesce(totals.mrr, 0) as decimal(18, 2)) as mrr,
    coalesce(totals.customers, 0) as customers,
    cast(coalesce(totals.new_mrr, 0) as decimal(18, 2)) as new_mrr,
    cast(coalesce(totals.reactivation_mrr, 0) as decimal(18, 2)) as reactivation_mrr,
    cast(coalesce(totals.expansion_mrr, 0) as decimal(18, 2)) as expansion_mrr,
    cast(coalesce(totals.contraction_mrr, 0) as decimal(18, 2)) as contraction_mrr,
    cast(coalesce(totals.churned_mrr, 0) as decimal(18, 2)) as churned_mrr,
    coalesce(totals.new_customers, 0) as new_customers,
    coalesce(totals.reactivated_customers, 0) as reactivated_customers,
    coalesce(totals.churned_customers, 0) as churned_customers
from gold.months as months
left join totals
    on months.month = totals.month
