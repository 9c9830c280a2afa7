SELECT
    plan,
    to_date(date_trunc('month', changed_at)) AS month,
    count(*) AS events,
    cast(coalesce(sum(seats), 0) AS bigint) AS seats,
    cast(coalesce(sum(amount), 0) AS decimal(18, 2)) AS amount
FROM silver.account_events
GROUP BY plan, to_date(date_trunc('month', changed_at))
