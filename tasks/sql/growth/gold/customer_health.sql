with as_of as (
    select max(date) as as_of_date
    from gold.calendar
),

activity as (
    select
        events.user_id,
        count(distinct events.event_date) as active_days_30
    from silver.product_events as events
    cross join as_of
    where
        events.event_date > date_sub(as_of.as_of_date, 30)
        and events.event_date <= as_of.as_of_date
    group by events.user_id
),

tickets as (
    select
        user_id,
        count_if(resolved_at is null) as open_tickets,
        avg(csat) as avg_csat
    from silver.support_tickets
    group by user_id
),

invoices as (
    select
        invoices.user_id,
        count_if(invoices.status = 'overdue') as overdue_invoices,
        sum(invoices.amount) filter (
            where invoices.paid_date > date_sub(as_of.as_of_date, 90)
            and invoices.paid_date <= as_of.as_of_date
        ) as revenue_90d
    from silver.billing as invoices
    cross join as_of
    group by invoices.user_id
),

measures as (
    select
        signups.user_id,
        coalesce(activity.active_days_30, 0) as active_days_30,
        coalesce(tickets.open_tickets, 0) as open_tickets,
        tickets.avg_csat,
        coalesce(invoices.overdue_invoices, 0) as overdue_invoices,
        cast(coalesce(invoices.revenue_90d, 0) as decimal(18, 2)) as revenue_90d
    from silver.signups as signups
    left join activity
        on signups.user_id = activity.user_id
    left join tickets
        on signups.user_id = tickets.user_id
    left join invoices
        on signups.user_id = invoices.user_id
),

scores as (
    select
        *,
        40D * least(active_days_30, 20) / 20
        + 20D * coalesce(avg_csat, 3D) / 5
        + 20D * (1 - least(open_tickets, 4) / 4D)
        + 20D * (1 - least(overdue_invoices, 2) / 2D) as health_score
    from measures
)

select
    user_id,
    active_days_30,
    open_tickets,
    avg_csat,
    overdue_invoices,
    revenue_90d,
    health_score,
    case
        when health_score < 40 then 'high'
        when health_score < 70 then 'medium'
        else 'low'
    end as risk_band
from scores
