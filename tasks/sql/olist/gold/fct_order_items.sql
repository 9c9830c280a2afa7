-- Each key is looked up in its dimension; what has no member there yet is the unknown one.
select
    items.order_id,
    items.order_item_id,
    dates.date_key,
    coalesce(customers.customer_key, 'unknown') as customer_key,
    coalesce(products.product_key, 'unknown') as product_key,
    coalesce(sellers.seller_key, 'unknown') as seller_key,
    orders.order_status,
    items.price,
    items.freight_value
from silver.order_items as items
inner join silver.orders as orders
    on items.order_id = orders.order_id
left join gold.dim_date as dates
    on orders.order_date = dates.calendar_date
left join gold.dim_customer as customers
    on
        orders.customer_unique_id = customers.customer_unique_id
        and orders.order_purchase_timestamp >= customers.valid_from
        and (
            customers.valid_to is null
            or orders.order_purchase_timestamp < customers.valid_to
        )
left join gold.dim_product as products
    on items.product_id = products.product_id
left join gold.dim_seller as sellers
    on items.seller_id = sellers.seller_id
where orders.order_status not in ('canceled', 'unavailable')
