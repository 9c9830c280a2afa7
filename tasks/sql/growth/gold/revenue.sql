with months as (
    select
        trunc(issued_at, 'MONTH') as month,
        count(*) as invoices,
        cast(sum(amount) as decimal(18, 2)) as invoiced,
        cast(coalesce(sum(amount) filter (where status = 'paid'), 0) as decimal(18, 2)) as collected,
        cast(coalesce(sum(amount) filter (where status = 'refunded'), 0) as decimal(18, 2)) as refunded,
        count(distinct user_id) filter (where status = 'paid') as paying_users
    from silver.billing
    group by trunc(issued_at, 'MONTH')
)

select
    month,
    invoices,
    invoiced,
    collected,
    refunded,
    paying_users,
    cast(collected as double) / nullif(paying_users, 0) as arpu
from months
