with measured as (
    select
        transaction_id,
        transaction_ts,
        account_id,
        merchant_id,
        amount,
        -- the window is open at its start: 60 s before is outside, a microsecond later is inside
        count(*) over (
            partition by account_id
            order by unix_micros(transaction_ts)
            range between 59999999 preceding and current row
        ) as in_a_minute
    from silver.transactions
),

scored as (
    select
        measured.*,
        case
            when
                accounts.transactions >= 30
                and accounts.stddev_amount > 0
                and cast(measured.amount as double) > accounts.mean_amount + 3 * accounts.stddev_amount
                then (cast(measured.amount as double) - accounts.mean_amount) / accounts.stddev_amount
        end as deviations,
        case
            when measured.account_id is not null and measured.in_a_minute > 10
                then cast(measured.in_a_minute as double)
        end as burst,
        case when measured.amount > 10000 then cast(measured.amount as double) end as height
    from measured
    left join silver.accounts as accounts
        on measured.account_id = accounts.account_id
),

flagged as (
    select
        *,
        explode(map('high_amount', deviations, 'velocity', burst, 'very_high', height)) as (rule, score)
    from scored
    where deviations is not null or burst is not null or height is not null
)

select
    transaction_id,
    rule,
    score,
    transaction_ts,
    account_id,
    merchant_id,
    amount
from flagged
where score is not null
