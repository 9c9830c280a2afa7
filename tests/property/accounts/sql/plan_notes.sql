SELECT plan, nullif(changed_at, timestamp '2024-01-31 00:00:00') AS given_at, seats, note
FROM silver.account_events
