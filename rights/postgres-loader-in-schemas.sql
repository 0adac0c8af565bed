-- The login of [target], for check and load, in schemas that are made for it: it may create tables there, and no schema.
--
-- Run by a superuser or the owner of the database who may create roles, once, in the warehouse's database.
-- Replace <database>, <schema>, <loader> and <password>; a name with other characters than small letters, digits and _
-- goes in double quotes.

-- The login.
CREATE ROLE <loader> LOGIN PASSWORD '<password>';

-- Lets the login into the database. Everybody has this until it is revoked from PUBLIC.
GRANT CONNECT ON DATABASE <database> TO <loader>;

-- Staging and watermarks stand here.
CREATE SCHEMA IF NOT EXISTS delsert;

-- USAGE to reach the tables there, CREATE to make them.
GRANT USAGE, CREATE ON SCHEMA delsert TO <loader>;

-- The tables go here. This and the next once for each schema of target.schema or target.schema_map.
CREATE SCHEMA IF NOT EXISTS <schema>;

-- USAGE to reach the tables there, CREATE to make them. Where all of them stand already, see the end.
GRANT USAGE, CREATE ON SCHEMA <schema> TO <loader>;

-- Only for a table that was there before and keeps its owner: to find, delete and insert its rows. Then it is the owner who
-- runs what changes its form, and load names the statement.
-- GRANT SELECT, INSERT, DELETE ON <schema>.<table> TO <loader>;
