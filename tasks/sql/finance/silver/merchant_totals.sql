select
    merchant_id,
    transaction_date,
    count(*) as transactions,
    count(distinct account_id) as accounts,
    cast(sum(amount) as decimal(18, 2)) as amount,
    max(amount) as max_amount
from silver.transactions
where merchant_id is not null
group by merchant_id, transaction_date
