select
    account_id,
    count(*) as transactions,
    sum(amount) as amount,
    sum(amount * amount) as squared_amount,
    min(transaction_ts) as first_seen,
    max(transaction_ts) as last_seen
from silver.transactions
where account_id is not null
group by account_id
