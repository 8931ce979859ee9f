select count(*) as n from www_access
