select
    contact_id,
    email,
    first_name,
    last_name,
    lifecycle_stage,
    created_at,
    updated_at
from silver.contacts
