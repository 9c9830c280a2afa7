with steps as (
    select
        channel,
        week,
        count(*) as visitors,
        count_if(signups > 0) as signed_up,
        count_if(activated) as activated,
        count_if(paid) as paid,
        count_if(activated_paid) as activated_paid
    from gold.visitor_journeys
    group by channel, week
)

select
    channel,
    week,
    visitors,
    signed_up,
    activated,
    paid,
    activated_paid,
    cast(signed_up as double) / visitors as signup_rate,
    cast(activated as double) / nullif(signed_up, 0) as activation_rate,
    cast(activated_paid as double) / nullif(activated, 0) as paid_rate
from steps
