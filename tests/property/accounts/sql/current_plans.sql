SELECT plan, seats, count(*) AS accounts
FROM silver.accounts_history
WHERE is_current
GROUP BY plan, seats
