select count(*) as n from pg_catalog.pg_class
