with first_visits as (
    select
        visitor_id,
        coalesce(min_by(channel, struct(visited_at, visit_id)), 'unknown') as channel,
        min(visited_at) as first_visit_at,
        count(*) as visits
    from silver.visits
    group by visitor_id
),

activated_users as (
    select distinct signups.user_id
    from silver.signups as signups
    inner join silver.product_events as events
        on
            signups.user_id = events.user_id
            and events.event_ts >= signups.signed_up_at
            and events.event_ts <= signups.signed_up_at + interval '168' hour
),

payers as (
    select
        signups.user_id,
        count_if(
            invoices.paid_at >= signups.signed_up_at
            and invoices.paid_at <= signups.signed_up_at + interval '720' hour
        ) > 0 as paid_in_time,
        sum(invoices.amount) as revenue
    from silver.signups as signups
    inner join silver.billing as invoices
        on signups.user_id = invoices.user_id
    where invoices.status = 'paid'
    group by signups.user_id
),

users as (
    select
        signups.visitor_id,
        activated_users.user_id is not null as is_activated,
        coalesce(payers.paid_in_time, false) as paid_in_time,
        payers.user_id is not null as is_customer,
        payers.revenue
    from silver.signups as signups
    left join activated_users
        on signups.user_id = activated_users.user_id
    left join payers
        on signups.user_id = payers.user_id
    where signups.visitor_id is not null
),

steps as (
    select
        visitor_id,
        count(*) as signups,
        bool_or(is_activated) as activated,
        bool_or(paid_in_time) as paid,
        bool_or(is_activated and paid_in_time) as activated_paid,
        count_if(is_customer) as customers,
        cast(sum(revenue) as decimal(18, 2)) as revenue
    from users
    group by visitor_id
)

select
    first_visits.visitor_id,
    first_visits.channel,
    trunc(first_visits.first_visit_at, 'WEEK') as week,
    first_visits.first_visit_at,
    first_visits.visits,
    coalesce(steps.signups, 0) as signups,
    coalesce(steps.activated, false) as activated,
    coalesce(steps.paid, false) as paid,
    coalesce(steps.activated_paid, false) as activated_paid,
    coalesce(steps.customers, 0) as customers,
    coalesce(steps.revenue, cast(0 as decimal(18, 2))) as revenue
from first_visits
left join steps
    on first_visits.visitor_id = steps.visitor_id
