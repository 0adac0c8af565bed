-- The login of [target] at Amazon Redshift, for check and load, which makes its schemas itself: delsert, and those that
-- tables go to.
--
-- Run by a superuser, once, in the warehouse's database. Replace <database>, <loader> and <password>; a name with other
-- characters than small letters, digits and _ goes in double quotes. The password is at least eight characters long, with
-- a capital letter, a small one and a digit; it must not be stored as SHA-256.

-- The login.
CREATE USER <loader> PASSWORD '<password>';

-- Makes the schemas. What stands in them is the login's own, so that it needs no other right there.
GRANT CREATE ON DATABASE <database> TO <loader>;

-- Makes the temporary table that parts are copied to. Everybody has this until it is revoked from PUBLIC.
GRANT TEMP ON DATABASE <database> TO <loader>;

-- Only where ASSUMEROLE was revoked from PUBLIC: lets COPY take the role of target.iam_role.
-- GRANT ASSUMEROLE ON '<role>' TO <loader> FOR COPY;

-- Only for a table that was there before and keeps its owner: to find, delete and insert its rows. Then it is the owner who
-- runs what changes its form, and load names the statement.
-- GRANT USAGE ON SCHEMA <schema> TO <loader>;
-- GRANT SELECT, INSERT, DELETE ON TABLE <schema>.<table> TO <loader>;
