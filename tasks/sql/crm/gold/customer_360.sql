-- Of several contacts of one e-mail the one that changed last, of those of one instant the first contact_id.
with ranked as (
    select
        contact_id,
        lower(email) as email,
        row_number() over (
            partition by lower(email)
            order by updated_at desc, contact_id
        ) as place
    from silver.contacts
    where email is not null
),

contacts as (
    select
        contact_id,
        email
    from ranked
    where place = 1
),

open_deals as (
    select
        contact_id,
        count(*) as deals
    from silver.deals
    where not is_closed
    group by contact_id
),

orders as (
    select
        customer_id,
        count(*) as orders,
        sum(amount_usd - refunded_usd) as net_revenue_usd
    from gold.fct_orders
    group by customer_id
),

behavior as (
    select
        customer_id,
        max(occurred_at) as last_behavior_at,
        max_by(action, struct(occurred_at, behavior_id)) as last_behavior
    from silver.behavior
    group by customer_id
),

events as (
    select
        customer_id,
        occurred_at
    from silver.behavior
    union all
    select
        customer_id,
        occurred_at
    from silver.events
),

recent as (
    select
        customer_id,
        occurred_at,
        lag(occurred_at) over (
            partition by customer_id
            order by occurred_at
        ) as occurred_before
    from events
    where occurred_at > (select max(occurred_at) - interval 30 days from events)
),

-- Each session has one event that none of the thirty minutes before it has.
sessions as (
    select
        customer_id,
        count(*) as sessions_30d
    from recent
    where occurred_before is null or occurred_at >= occurred_before + interval 30 minutes
    group by customer_id
)

select
    customers.customer_id,
    customers.segment,
    customers.country,
    lower(customers.email) as email,
    contacts.contact_id,
    coalesce(open_deals.deals, 0) as open_deals,
    coalesce(orders.orders, 0) as orders,
    cast(coalesce(orders.net_revenue_usd, 0) as decimal(18, 2)) as net_revenue_usd,
    behavior.last_behavior_at,
    behavior.last_behavior,
    coalesce(sessions.sessions_30d, 0) as sessions_30d
from silver.customers as customers
left join contacts
    on lower(customers.email) = contacts.email
left join open_deals
    on contacts.contact_id = open_deals.contact_id
left join orders
    on customers.customer_id = orders.customer_id
left join behavior
    on customers.customer_id = behavior.customer_id
left join sessions
    on customers.customer_id = sessions.customer_id
where customers.is_current
