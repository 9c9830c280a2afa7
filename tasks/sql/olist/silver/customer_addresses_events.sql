-- An order is the only dated evidence of where a customer lived, so orders of any status count.
select
    customers.customer_unique_id,
    customers.customer_zip_code_prefix,
    customers.customer_city,
    customers.customer_state,
    orders.order_purchase_timestamp,
    orders.order_id
from silver.orders as orders
inner join silver.customers as customers
    on orders.customer_id = customers.customer_id
where customers.customer_unique_id is not null
