select
    md5(concat(customer_id, '|', unix_micros(valid_from))) as customer_sk,
    customer_id,
    segment,
    country,
    email,
    valid_from,
    valid_to,
    is_current
from silver.customers
union all
select
    'unknown' as customer_sk,
    null as customer_id,
    'unknown' as segment,
    null as country,
    null as email,
    null as valid_from,
    null as valid_to,
    true as is_current
