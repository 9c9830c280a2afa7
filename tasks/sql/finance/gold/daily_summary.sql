with flagged as (
    select
        cast(transaction_ts as date) as transaction_date,
        count(distinct transaction_id) as anomalies
    from gold.anomalies
    group by cast(transaction_ts as date)
)

select
    totals.transaction_date,
    totals.transactions,
    totals.accounts,
    totals.amount,
    cast(totals.amount as double) / totals.transactions as avg_amount,
    coalesce(flagged.anomalies, 0) as anomalies,
    cast(coalesce(flagged.anomalies, 0) as double) / totals.transactions as anomaly_rate
from silver.daily_totals as totals
left join flagged
    on totals.transaction_date = flagged.transaction_date
