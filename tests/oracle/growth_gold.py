"""Gold of growth: one DuckDB statement a table over ``silver_<source>``, the tests in Python."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyarrow as pa
from scipy import stats

_MONEY = "DECIMAL(18,2)"

# In order of dependency. The first ones are steps on the way.
GOLD: dict[str, str] = {
    "event_dates": """
        SELECT CAST(instant AS DATE) AS date
        FROM (
            SELECT visited_at AS instant FROM silver_visits
            UNION ALL SELECT signed_up_at FROM silver_signups
            UNION ALL SELECT event_ts FROM silver_product_events
            UNION ALL SELECT assigned_at FROM silver_experiments
            UNION ALL SELECT unnest([issued_at, paid_at]) FROM silver_billing
            UNION ALL
            SELECT unnest([opened_at, first_response_at, resolved_at]) FROM silver_support_tickets
        )
        WHERE instant IS NOT NULL
    """,
    "calendar": """
        SELECT CAST(unnest(generate_series(min(date), max(date), INTERVAL 1 DAY)) AS DATE) AS date
        FROM event_dates
    """,
    "paid_invoices": """
        SELECT *, CAST(paid_at AS DATE) AS paid_date FROM silver_billing WHERE status = 'paid'
    """,
    "daily_counts": f"""
        SELECT
            date,
            (SELECT count(*) FROM silver_visits WHERE CAST(visited_at AS DATE) = date) AS visits,
            (
                SELECT count(DISTINCT visitor_id) FROM silver_visits
                WHERE CAST(visited_at AS DATE) = date
            ) AS visitors,
            (
                SELECT count(*) FROM silver_signups WHERE CAST(signed_up_at AS DATE) = date
            ) AS signups,
            (
                SELECT count(DISTINCT user_id) FROM silver_product_events
                WHERE CAST(event_ts AS DATE) = date
            ) AS active_users,
            (SELECT count(*) FROM paid_invoices WHERE paid_date = date) AS paid_invoices,
            CAST(
                (SELECT coalesce(sum(amount), 0) FROM paid_invoices WHERE paid_date = date)
                AS {_MONEY}
            ) AS revenue,
            (
                SELECT count(*) FROM silver_support_tickets WHERE CAST(opened_at AS DATE) = date
            ) AS tickets_opened
        FROM calendar
    """,
    "daily_kpis": """
        SELECT *, signups / nullif(CAST(visitors AS DOUBLE), 0) AS signup_rate FROM daily_counts
    """,
    "first_visits": """
        SELECT
            visitor_id,
            coalesce(channel, 'unknown') AS channel,
            CAST(date_trunc('week', visited_at) AS DATE) AS week
        FROM silver_visits
        QUALIFY row_number() OVER (PARTITION BY visitor_id ORDER BY visited_at, visit_id) = 1
    """,
    # One row a user who came as a visitor; hours are counted on microseconds.
    "users": f"""
        SELECT
            s.user_id,
            v.*,
            EXISTS (
                FROM silver_product_events AS e
                WHERE e.user_id = s.user_id
                    AND epoch_us(e.event_ts) - epoch_us(s.signed_up_at)
                        BETWEEN 0 AND 168 * 3_600_000_000
            ) AS is_activated,
            EXISTS (
                FROM paid_invoices AS p
                WHERE p.user_id = s.user_id
                    AND epoch_us(p.paid_at) - epoch_us(s.signed_up_at)
                        BETWEEN 0 AND 30 * 24 * 3_600_000_000
            ) AS has_paid,
            EXISTS (FROM paid_invoices AS p WHERE p.user_id = s.user_id) AS is_customer,
            CAST(
                (SELECT coalesce(sum(amount), 0) FROM paid_invoices AS p WHERE p.user_id = s.user_id)
                AS {_MONEY}
            ) AS revenue
        FROM silver_signups AS s
        JOIN first_visits AS v ON v.visitor_id = s.visitor_id
    """,
    "conversion_funnel": """
        WITH steps AS (
            SELECT
                v.channel,
                v.week,
                count(DISTINCT v.visitor_id) AS visitors,
                count(DISTINCT u.visitor_id) AS signed_up,
                count(DISTINCT u.visitor_id) FILTER (u.is_activated) AS activated,
                count(DISTINCT u.visitor_id) FILTER (u.has_paid) AS paid,
                count(DISTINCT u.visitor_id) FILTER (u.is_activated AND u.has_paid)
                    AS activated_paid
            FROM first_visits AS v
            LEFT JOIN users AS u ON u.visitor_id = v.visitor_id
            GROUP BY v.channel, v.week
        )
        SELECT
            *,
            CAST(signed_up AS DOUBLE) / visitors AS signup_rate,
            CAST(activated AS DOUBLE) / nullif(signed_up, 0) AS activation_rate,
            CAST(activated_paid AS DOUBLE) / nullif(activated, 0) AS paid_rate
        FROM steps
    """,
    "channel_results": f"""
        SELECT
            channel,
            (SELECT count(*) FROM first_visits AS v WHERE v.channel = c.channel) AS visitors,
            (SELECT count(*) FROM users AS u WHERE u.channel = c.channel) AS signups,
            (
                SELECT count(*) FROM users AS u WHERE u.channel = c.channel AND u.is_customer
            ) AS customers,
            CAST(
                (SELECT coalesce(sum(revenue), 0) FROM users AS u WHERE u.channel = c.channel)
                AS {_MONEY}
            ) AS revenue,
            cost
        FROM (
            SELECT
                coalesce(channel, 'unknown') AS channel,
                CAST(sum(coalesce(cost, 0)) AS {_MONEY}) AS cost
            FROM silver_visits
            GROUP BY ALL
        ) AS c
    """,
    "channel_performance": """
        SELECT
            *,
            CAST(cost AS DOUBLE) / nullif(customers, 0) AS cac,
            CAST(revenue AS DOUBLE) / nullif(CAST(cost AS DOUBLE), 0) AS roas
        FROM channel_results
    """,
    "revenue": f"""
        SELECT
            *,
            CAST(collected AS DOUBLE) / nullif(paying_users, 0) AS arpu
        FROM (
            SELECT
                CAST(date_trunc('month', issued_at) AS DATE) AS month,
                count(*) AS invoices,
                CAST(sum(amount) AS {_MONEY}) AS invoiced,
                CAST(sum(if(status = 'paid', amount, 0)) AS {_MONEY}) AS collected,
                CAST(sum(if(status = 'refunded', amount, 0)) AS {_MONEY}) AS refunded,
                count(DISTINCT if(status = 'paid', user_id, NULL)) AS paying_users
            FROM silver_billing
            GROUP BY ALL
        )
    """,
    "customer_health": f"""
        WITH as_of AS (SELECT max(date) AS d FROM event_dates),
        measures AS (
            SELECT
                s.user_id,
                (
                    SELECT count(DISTINCT CAST(event_ts AS DATE))
                    FROM silver_product_events AS e, as_of
                    WHERE e.user_id = s.user_id
                        AND CAST(event_ts AS DATE) > d - 30 AND CAST(event_ts AS DATE) <= d
                ) AS active_days_30,
                (
                    SELECT count(*) FROM silver_support_tickets AS t
                    WHERE t.user_id = s.user_id AND t.resolved_at IS NULL
                ) AS open_tickets,
                (
                    SELECT avg(csat) FROM silver_support_tickets AS t WHERE t.user_id = s.user_id
                ) AS avg_csat,
                (
                    SELECT count(*) FROM silver_billing AS b
                    WHERE b.user_id = s.user_id AND b.status = 'overdue'
                ) AS overdue_invoices,
                CAST(
                    (
                        SELECT coalesce(sum(amount), 0) FROM paid_invoices AS p, as_of
                        WHERE p.user_id = s.user_id AND paid_date > d - 90 AND paid_date <= d
                    ) AS {_MONEY}
                ) AS revenue_90d
            FROM silver_signups AS s
        ),
        scores AS (
            SELECT
                *,
                40 * CAST(least(active_days_30, 20) AS DOUBLE) / 20
                    + 20 * coalesce(avg_csat, 3) / 5
                    + 20 * (1 - CAST(least(open_tickets, 4) AS DOUBLE) / 4)
                    + 20 * (1 - CAST(least(overdue_invoices, 2) AS DOUBLE) / 2) AS health_score
            FROM measures
        )
        SELECT
            *,
            CASE
                WHEN health_score >= 70 THEN 'low'
                WHEN health_score >= 40 THEN 'medium'
                ELSE 'high'
            END AS risk_band
        FROM scores
    """,
    "first_assignments": """
        SELECT * FROM silver_experiments
        QUALIFY row_number() OVER (
            PARTITION BY experiment, user_id ORDER BY assigned_at, assignment_id
        ) = 1
    """,
    "variant_counts": """
        SELECT
            experiment,
            variant,
            count(*) AS users,
            count(*) FILTER (
                EXISTS (
                    FROM paid_invoices AS p
                    WHERE p.user_id = a.user_id
                        AND epoch_us(p.paid_at) - epoch_us(a.assigned_at)
                            BETWEEN 0 AND 30 * 24 * 3_600_000_000
                )
            ) AS conversions
        FROM first_assignments AS a
        GROUP BY experiment, variant
    """,
}

_SCHEMA = pa.schema(
    [("experiment", pa.string()), ("variant", pa.string())]
    + [(name, pa.int64()) for name in ("users", "conversions")]
    + [
        (name, pa.float64())
        for name in ("conversion_rate", "uplift", "z", "p_value", "ci_low", "ci_high")
    ]
)


def statistics(counts: Sequence[tuple[str, str, int, int]]) -> pa.Table:
    """Make ``experiment_performance`` out of experiment, variant, users and conversions."""
    controls = {experiment: (n, x) for experiment, variant, n, x in counts if variant == "control"}
    rows = []
    for experiment, variant, n, x in counts:
        tested: dict[str, float | None] = {}
        if variant != "control" and experiment in controls:
            tested = _two_proportions(n, x, *controls[experiment])
        rows.append(
            {"experiment": experiment, "variant": variant, "users": n, "conversions": x}
            | {"conversion_rate": x / n}
            | tested
        )
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _two_proportions(n: int, x: int, control_n: int, control_x: int) -> dict[str, float | None]:
    """The test of two proportions as the chi-squared test of their table, whose statistic is z squared."""
    rate, control = x / n, control_x / control_n
    z = p_value = None
    if 0 < x + control_x < n + control_n:
        table = [[x, n - x], [control_x, control_n - control_x]]
        tested = stats.chi2_contingency(table, correction=False)
        z = math.copysign(math.sqrt(tested.statistic), rate - control)
        p_value = float(tested.pvalue)
    error = math.sqrt(rate * (1 - rate) / n + control * (1 - control) / control_n)
    reach = float(stats.norm.ppf(0.975)) * error
    return {
        "uplift": rate / control - 1 if control else None,
        "z": z,
        "p_value": p_value,
        "ci_low": rate - control - reach,
        "ci_high": rate - control + reach,
    }
