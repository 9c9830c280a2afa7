SELECT
    plan,
    count(*) AS accounts,
    cast(coalesce(sum(seats), 0) AS bigint) AS seats,
    cast(coalesce(sum(amount), 0) AS decimal(18, 2)) AS amount
FROM silver.accounts_soft
WHERE NOT _is_deleted
GROUP BY plan
