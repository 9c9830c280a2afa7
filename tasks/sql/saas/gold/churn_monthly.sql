with months as (
    select
        this.month,
        this.churned_customers,
        this.expansion_mrr,
        this.contraction_mrr + this.churned_mrr as lost_mrr,
        coalesce(before.customers, 0) as customers_at_start,
        coalesce(before.mrr, 0) as mrr_at_start
    from gold.mrr_monthly as this
    left join gold.mrr_monthly as before
        on before.month = add_months(this.month, -1)
)

-- The exact sums are divided, each as a double.
select
    month,
    customers_at_start,
    churned_customers,
    churned_customers / nullif(customers_at_start, 0) as customer_churn_rate,
    cast(mrr_at_start as decimal(18, 2)) as mrr_at_start,
    cast(-lost_mrr as double)
        / cast(nullif(mrr_at_start, 0) as double) as gross_revenue_churn_rate,
    cast(mrr_at_start + expansion_mrr + lost_mrr as double)
        / cast(nullif(mrr_at_start, 0) as double) as net_revenue_retention
from months
