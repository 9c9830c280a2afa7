with first_assignments as (
    select
        experiment,
        user_id,
        min_by(variant, struct(assigned_at, assignment_id)) as variant,
        min(assigned_at) as assigned_at
    from silver.experiments
    group by experiment, user_id
),

converted as (
    select distinct
        assignments.experiment,
        assignments.user_id
    from first_assignments as assignments
    inner join silver.billing as invoices
        on
            assignments.user_id = invoices.user_id
            and invoices.status = 'paid'
            and invoices.paid_at >= assignments.assigned_at
            and invoices.paid_at <= assignments.assigned_at + interval '720' hour
),

variants as (
    select
        assignments.experiment,
        assignments.variant,
        count(*) as users,
        count(converted.user_id) as conversions,
        cast(count(converted.user_id) as double) / count(*) as conversion_rate
    from first_assignments as assignments
    left join converted
        on
            assignments.experiment = converted.experiment
            and assignments.user_id = converted.user_id
    group by assignments.experiment, assignments.variant
),

-- Whole numbers are subtracted before anything is divided: rates that are nearly equal would cancel digits.
compared as (
    select
        variants.*,
        cast(variants.conversions * control.users - control.conversions * variants.users as double)
            / (cast(variants.users as double) * control.users) as difference,
        cast(variants.conversions * control.users - control.conversions * variants.users as double)
            / nullif(cast(control.conversions as double) * variants.users, 0) as uplift,
        cast(variants.conversions + control.conversions as double)
            / (variants.users + control.users) as pooled_rate,
        1D / variants.users + 1D / control.users as pooled_weight,
        sqrt(
            variants.conversion_rate * (1 - variants.conversion_rate) / variants.users
            + control.conversion_rate * (1 - control.conversion_rate) / control.users
        ) as standard_error
    from variants
    left join variants as control
        on
            variants.experiment = control.experiment
            and variants.variant <> 'control'
            and control.variant = 'control'
),

tested as (
    select
        *,
        difference
            / nullif(sqrt(pooled_rate * (1 - pooled_rate) * pooled_weight), 0) as z
    from compared
)

-- Spark has no error function, but carries the library that has one. 1.95... is the 97.5th percentile
-- of the normal distribution.
select
    experiment,
    variant,
    users,
    conversions,
    conversion_rate,
    uplift,
    z,
    case
        when z is not null
            then cast(
                java_method(
                    'org.apache.commons.math3.special.Erf', 'erfc', abs(z) / sqrt(2D)
                ) as double
            )
    end as p_value,
    difference - 1.959963984540054D * standard_error as ci_low,
    difference + 1.959963984540054D * standard_error as ci_high
from tested
