with flagged as (
    select
        merchant_id,
        cast(transaction_ts as date) as transaction_date,
        count(distinct transaction_id) as anomalies
    from gold.anomalies
    where merchant_id is not null
    group by merchant_id, cast(transaction_ts as date)
)

select
    totals.merchant_id,
    totals.transaction_date,
    totals.transactions,
    totals.accounts,
    totals.amount,
    totals.max_amount,
    coalesce(flagged.anomalies, 0) as anomalies
from silver.merchant_totals as totals
left join flagged
    on
        totals.merchant_id = flagged.merchant_id
        and totals.transaction_date = flagged.transaction_date
