-- Sellers that only items name so far are members too: their sales keep their seller_id.
with members as (
    select seller_id
    from silver.sellers
    union
    select seller_id
    from silver.order_items
    where seller_id is not null
)

select
    md5(members.seller_id) as seller_key,
    members.seller_id,
    coalesce(sellers.seller_zip_code_prefix, 'unknown') as seller_zip_code_prefix,
    coalesce(sellers.seller_city, 'unknown') as seller_city,
    coalesce(sellers.seller_state, 'unknown') as seller_state,
    sellers.seller_id is null as is_inferred
from members
left join silver.sellers as sellers
    on members.seller_id = sellers.seller_id
union all
select
    'unknown' as seller_key,
    null as seller_id,
    'unknown' as seller_zip_code_prefix,
    'unknown' as seller_city,
    'unknown' as seller_state,
    false as is_inferred
