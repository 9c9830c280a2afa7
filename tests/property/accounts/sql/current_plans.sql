SELECT coalesce(plan, 'none') AS plan, count(*) AS accounts
FROM silver.accounts_history
WHERE is_current
GROUP BY coalesce(plan, 'none')
