select
    md5(concat(customer_unique_id, '|', unix_micros(valid_from))) as customer_key,
    customer_unique_id,
    coalesce(customer_zip_code_prefix, 'unknown') as customer_zip_code_prefix,
    coalesce(customer_city, 'unknown') as customer_city,
    coalesce(customer_state, 'unknown') as customer_state,
    valid_from,
    valid_to,
    is_current
from silver.customer_addresses
union all
select
    'unknown' as customer_key,
    null as customer_unique_id,
    'unknown' as customer_zip_code_prefix,
    'unknown' as customer_city,
    'unknown' as customer_state,
    null as valid_from,
    null as valid_to,
    true as is_current
