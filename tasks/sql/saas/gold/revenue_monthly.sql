with invoices as (
    select
        trunc(to_date(issued_at), 'MONTH') as month,
        amount,
        status = 'paid' as is_paid,
        (unix_micros(paid_at) - unix_micros(issued_at)) / 86400e6 as days_to_pay
    from silver.invoices
    where status <> 'void'
),

months as (
    select
        month,
        count(*) as invoices,
        cast(sum(amount) as decimal(18, 2)) as invoiced,
        cast(coalesce(sum(amount) filter (where is_paid), 0) as decimal(18, 2)) as paid,
        avg(days_to_pay) filter (where is_paid) as avg_days_to_pay
    from invoices
    group by month
)

select
    month,
    invoices,
    invoiced,
    paid,
    cast(invoiced - paid as decimal(18, 2)) as outstanding,
    avg_days_to_pay
from months
