with visits as (
    select
        visit_date,
        count(*) as visits,
        count(distinct visitor_id) as visitors
    from silver.visits
    group by visit_date
),

signups as (
    select
        signup_date,
        count(*) as signups
    from silver.signups
    group by signup_date
),

activity as (
    select
        event_date,
        count(distinct user_id) as active_users
    from silver.product_events
    group by event_date
),

payments as (
    select
        paid_date,
        count(*) as paid_invoices,
        cast(sum(amount) as decimal(18, 2)) as revenue
    from silver.billing
    where paid_date is not null
    group by paid_date
),

tickets as (
    select
        opened_date,
        count(*) as tickets_opened
    from silver.support_tickets
    group by opened_date
)

select
    calendar.date,
    coalesce(visits.visits, 0) as visits,
    coalesce(visits.visitors, 0) as visitors,
    coalesce(signups.signups, 0) as signups,
    coalesce(activity.active_users, 0) as active_users,
    coalesce(payments.paid_invoices, 0) as paid_invoices,
    coalesce(payments.revenue, cast(0 as decimal(18, 2))) as revenue,
    coalesce(tickets.tickets_opened, 0) as tickets_opened,
    cast(coalesce(signups.signups, 0) as double) / visits.visitors as signup_rate
from gold.calendar as calendar
left join visits
    on calendar.date = visits.visit_date
left join signups
    on calendar.date = signups.signup_date
left join activity
    on calendar.date = activity.event_date
left join payments
    on calendar.date = payments.paid_date
left join tickets
    on calendar.date = tickets.opened_date
