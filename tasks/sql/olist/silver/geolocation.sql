-- One row a prefix and delivery; the newest delivery of a prefix then wins by its sequence.
with
city_counts as (
    select zip_code_prefix, _delivery, city, count(*) as n
    from rows
    where city is not null
    group by zip_code_prefix, _delivery, city
),

cities as (
    select zip_code_prefix, _delivery, min_by(city, struct(-n, city)) as city
    from city_counts
    group by zip_code_prefix, _delivery
),

state_counts as (
    select zip_code_prefix, _delivery, state, count(*) as n
    from rows
    where state is not null
    group by zip_code_prefix, _delivery, state
),

states as (
    select zip_code_prefix, _delivery, min_by(state, struct(-n, state)) as state
    from state_counts
    group by zip_code_prefix, _delivery
),

samples as (
    select
        zip_code_prefix,
        _delivery,
        avg(latitude) as latitude,
        avg(longitude) as longitude,
        count(*) as samples,
        max(_sequence) as _sequence,
        max(_batch_id) as _batch_id
    from rows
    group by zip_code_prefix, _delivery
)

select
    samples.zip_code_prefix,
    samples.latitude,
    samples.longitude,
    cities.city,
    states.state,
    samples.samples,
    samples._sequence,
    samples._batch_id
from samples
left join cities
    on samples.zip_code_prefix = cities.zip_code_prefix and samples._delivery = cities._delivery
left join states
    on samples.zip_code_prefix = states.zip_code_prefix and samples._delivery = states._delivery
