-- The login of [target], for check and load, which makes its schemas itself: delsert, and those that tables go to.
-- Where it may not, see postgres-loader-in-schemas.sql.
--
-- Run by a superuser or the owner of the database who may create roles, once, in the warehouse's database.
-- Replace <database>, <loader> and <password>; a name with other characters than small letters, digits and _ goes in
-- double quotes.

-- The login.
CREATE ROLE <loader> LOGIN PASSWORD '<password>';

-- Lets the login into the database. Everybody has this until it is revoked from PUBLIC.
GRANT CONNECT ON DATABASE <database> TO <loader>;

-- Makes the schemas. What stands in them is the login's own, so that it needs no other right.
GRANT CREATE ON DATABASE <database> TO <loader>;
