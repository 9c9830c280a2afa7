-- Products that only items name so far are members too: their sales keep their product_id.
with members as (
    select product_id
    from silver.products
    union
    select product_id
    from silver.order_items
    where product_id is not null
)

select
    md5(members.product_id) as product_key,
    members.product_id,
    coalesce(products.product_category, 'unknown') as product_category,
    products.product_photos_qty,
    products.product_weight_g,
    products.product_length_cm,
    products.product_height_cm,
    products.product_width_cm,
    products.product_id is null as is_inferred
from members
left join silver.products as products
    on members.product_id = products.product_id
union all
select
    'unknown' as product_key,
    null as product_id,
    'unknown' as product_category,
    null as product_photos_qty,
    null as product_weight_g,
    null as product_length_cm,
    null as product_height_cm,
    null as product_width_cm,
    false as is_inferred
