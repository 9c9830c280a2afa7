select
    transaction_date,
    count(*) as transactions,
    count(distinct account_id) as accounts,
    cast(sum(amount) as decimal(18, 2)) as amount
from silver.transactions
group by transaction_date
