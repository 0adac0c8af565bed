-- The catalogue that clients see. What a table was declared with stands in the comment of a constraint of its own.
CREATE OR REPLACE FUNCTION redshift_standin.is_own(schema name) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT $1 LIKE 'redshift\_standin%' OR $1 LIKE 'pg\_toast%' OR $1 IN ('pg_catalog', 'information_schema') $$;

CREATE OR REPLACE VIEW redshift_standin."$declared" AS
    SELECT conrelid AS relid, pg_catalog.obj_description(oid, 'pg_constraint')::jsonb AS declared
    FROM pg_catalog.pg_constraint WHERE conname = 'redshift_standin' AND contype = 'c';

CREATE OR REPLACE VIEW redshift_standin.pg_namespace AS
    SELECT oid, redshift_standin.full_name(nspname) AS nspname, nspowner, nspacl FROM pg_catalog.pg_namespace
    WHERE NOT redshift_standin.is_own(nspname) OR nspname IN ('pg_catalog', 'information_schema');

CREATE OR REPLACE VIEW redshift_standin.pg_class AS
    SELECT c.oid, redshift_standin.full_name(c.relname) AS relname, c.relnamespace, c.reltype, c.relowner, c.reltuples, c.relnatts,
        false AS relhasindex, c.relkind, c.relacl
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT redshift_standin.is_own(n.nspname) AND c.relkind IN ('r', 'v');

CREATE OR REPLACE VIEW redshift_standin.pg_class_info AS
    SELECT c.oid AS reloid, c.relname, c.relnamespace, c.relowner, c.relkind,
        CASE split_part(coalesce(d.declared ->> 'diststyle', 'AUTO(ALL)'), '(', 1)
            WHEN 'EVEN' THEN 0 WHEN 'KEY' THEN 1 WHEN 'ALL' THEN 8 ELSE 10 END AS releffectivediststyle
    FROM redshift_standin.pg_class c LEFT JOIN redshift_standin."$declared" d ON d.relid = c.oid;

CREATE OR REPLACE VIEW redshift_standin.pg_attribute AS
    SELECT a.attrelid, redshift_standin.full_name(a.attname) AS attname,
        CASE a.atttypid WHEN 'bytea'::regtype THEN 6551 WHEN 'jsonb'::regtype THEN 4000 ELSE a.atttypid END AS atttypid, a.attnum,
        CASE a.atttypid WHEN 'bytea'::regtype
            THEN coalesce((SELECT (declared #>> ARRAY['columns', a.attnum::text, 'size'])::int + 4
                FROM redshift_standin."$declared" d WHERE d.relid = a.attrelid), -1)
            ELSE a.atttypmod END AS atttypmod,
        a.attnotnull, a.atthasdef OR a.attidentity <> '' AS atthasdef, a.attisdropped, a.attlen,
        coalesce((SELECT (declared #>> ARRAY['columns', a.attnum::text, 'dist'])::boolean
            FROM redshift_standin."$declared" d WHERE d.relid = a.attrelid), false) AS attisdistkey,
        coalesce((SELECT (declared #>> ARRAY['columns', a.attnum::text, 'sort'])::int
            FROM redshift_standin."$declared" d WHERE d.relid = a.attrelid), 0) AS attsortkeyord
    FROM pg_catalog.pg_attribute a JOIN redshift_standin.pg_class c ON c.oid = a.attrelid
    WHERE a.attnum > 0 AND a.attname <> 'redshift_standin';

CREATE OR REPLACE VIEW redshift_standin.pg_attrdef AS
    SELECT def.adrelid, def.adnum, pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS adsrc
    FROM pg_catalog.pg_attrdef def JOIN redshift_standin.pg_class c ON c.oid = def.adrelid
    UNION ALL SELECT a.attrelid, a.attnum, '"identity"(' || a.attrelid || ', ' || a.attnum - 1 || ', ''1,1''::text)'
    FROM pg_catalog.pg_attribute a JOIN redshift_standin.pg_class c ON c.oid = a.attrelid WHERE a.attidentity <> '';

CREATE OR REPLACE VIEW redshift_standin.pg_constraint AS
    SELECT (100000 + row_number() OVER ())::oid AS oid, coalesce(k.key ->> 'name', c.relname || '_' || CASE k.key ->> 'kind'
            WHEN 'p' THEN 'pkey' WHEN 'u' THEN 'key' ELSE 'fkey' END)::text AS conname,
        c.relnamespace AS connamespace, (k.key ->> 'kind')::"char" AS contype, c.oid AS conrelid,
        (SELECT array_agg(a.attnum ORDER BY n.place) FROM jsonb_array_elements_text(k.key -> 'columns') WITH ORDINALITY AS n (name, place)
            JOIN redshift_standin.pg_attribute a ON a.attrelid = c.oid AND a.attname = n.name) AS conkey
    FROM redshift_standin."$declared" d JOIN redshift_standin.pg_class c ON c.oid = d.relid
        CROSS JOIN jsonb_array_elements(d.declared -> 'keys') AS k (key);

CREATE OR REPLACE VIEW redshift_standin.pg_database AS
    SELECT oid, datname, datdba FROM pg_catalog.pg_database WHERE datname = current_database();
CREATE OR REPLACE VIEW redshift_standin.pg_type AS
    SELECT oid, typname, typnamespace, typlen FROM pg_catalog.pg_type
    WHERE typname IN ('bool', 'int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'varchar', 'bpchar', 'text', 'date', 'time',
        'timetz', 'timestamp', 'timestamptz', 'name', 'oid')
    UNION ALL SELECT 4000, 'super', 11, -1 UNION ALL SELECT 6551, 'varbyte', 11, -1;
CREATE OR REPLACE VIEW redshift_standin.pg_user AS
    SELECT rolname AS usename, oid AS usesysid, false AS usecreatedb, rolsuper AS usesuper, '********'::text AS passwd
    FROM pg_catalog.pg_roles WHERE rolname NOT LIKE 'pg\_%';
CREATE OR REPLACE VIEW redshift_standin.pg_group AS
    SELECT rolname AS groname, oid AS grosysid,
        ARRAY(SELECT member FROM pg_catalog.pg_auth_members m WHERE m.roleid = r.oid) AS grolist
    FROM pg_catalog.pg_roles r WHERE NOT rolcanlogin AND rolname NOT LIKE 'pg\_%';
CREATE OR REPLACE VIEW redshift_standin.pg_tables AS
    SELECT n.nspname AS schemaname, c.relname AS tablename, pg_catalog.pg_get_userbyid(c.relowner) AS tableowner,
        false AS hasindexes, false AS hasrules, false AS hastriggers
    FROM redshift_standin.pg_class c JOIN redshift_standin.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r';
-- Views that are bound when they are read: below each is a view of one column, whose comment is the query.
CREATE OR REPLACE VIEW redshift_standin."$late_views" AS
    SELECT c.oid, n.nspname, c.relname, pg_catalog.col_description(c.oid, a.attnum) AS definition
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'v' AND a.attname = 'redshift_standin' AND NOT redshift_standin.is_own(n.nspname);
CREATE OR REPLACE VIEW redshift_standin.pg_views AS
    SELECT n.nspname AS schemaname, c.relname AS viewname, pg_catalog.pg_get_userbyid(c.relowner) AS viewowner,
        coalesce((SELECT l.definition FROM redshift_standin."$late_views" l WHERE l.oid = c.oid), pg_catalog.pg_get_viewdef(c.oid)) AS definition
    FROM redshift_standin.pg_class c JOIN redshift_standin.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'v';

-- What depends on what, and who may what: for those who rebuild a table beside and swap.
CREATE OR REPLACE VIEW redshift_standin.pg_rewrite AS
    SELECT r.oid, r.rulename, r.ev_class FROM pg_catalog.pg_rewrite r JOIN redshift_standin.pg_class c ON c.oid = r.ev_class;
CREATE OR REPLACE VIEW redshift_standin.pg_depend AS
    SELECT classid, objid, objsubid, refclassid, refobjid, refobjsubid, deptype FROM pg_catalog.pg_depend
    WHERE objid IN (SELECT oid FROM redshift_standin.pg_rewrite) AND refobjid IN (SELECT oid FROM redshift_standin.pg_class);
CREATE OR REPLACE VIEW redshift_standin.pg_description AS
    SELECT d.objoid, d.classoid, d.objsubid, d.description FROM pg_catalog.pg_description d
    WHERE d.objoid IN (SELECT oid FROM redshift_standin.pg_class UNION SELECT oid FROM redshift_standin.pg_namespace)
        AND NOT EXISTS (SELECT FROM redshift_standin."$late_views" l WHERE l.oid = d.objoid AND d.objsubid > 0);
CREATE OR REPLACE FUNCTION redshift_standin.grants(acl aclitem[])
RETURNS TABLE (privilege_type text, identity_id int, identity_name text, identity_type text, admin_option boolean)
LANGUAGE sql STABLE AS $$
    SELECT a.privilege_type, a.grantee::int, coalesce(r.rolname, 'public')::text,
        CASE WHEN a.grantee = 0 THEN 'public' WHEN r.rolcanlogin THEN 'user' ELSE 'group' END, a.is_grantable
    FROM pg_catalog.aclexplode(acl) a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee $$;
CREATE OR REPLACE VIEW redshift_standin.svv_relation_privileges AS
    SELECT n.nspname AS namespace_name, c.relname AS relation_name, g.*
    FROM redshift_standin.pg_class c JOIN redshift_standin.pg_namespace n ON n.oid = c.relnamespace
        CROSS JOIN LATERAL redshift_standin.grants(c.relacl) g;
CREATE OR REPLACE VIEW redshift_standin.svv_column_privileges AS
    SELECT n.nspname AS namespace_name, c.relname AS relation_name, redshift_standin.full_name(a.attname) AS column_name,
        g.privilege_type, g.identity_id, g.identity_name, g.identity_type
    FROM redshift_standin.pg_class c JOIN redshift_standin.pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        CROSS JOIN LATERAL redshift_standin.grants(a.attacl) g;
CREATE OR REPLACE VIEW redshift_standin.svv_schema_privileges AS
    SELECT n.nspname AS namespace_name, g.* FROM redshift_standin.pg_namespace n
        CROSS JOIN LATERAL redshift_standin.grants(n.nspacl) g;

-- Of each column what Redshift's own views tell, once.
CREATE OR REPLACE VIEW redshift_standin."$columns" AS
    SELECT n.nspname AS schema_name, c.relname AS table_name, c.relkind, c.oid AS relid, a.attname AS column_name, a.attnum,
        redshift_standin.format_type(a.atttypid, a.atttypmod) AS full_type,
        pg_catalog.split_part(redshift_standin.format_type(a.atttypid, -1), '(', 1) AS data_type,
        a.attnotnull AS not_null, pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS column_default,
        CASE WHEN a.atttypid IN (1042, 1043, 6551) AND a.atttypmod > 0 THEN a.atttypmod - 4 END AS length,
        CASE WHEN a.atttypid = 1700 AND a.atttypmod > 0 THEN (a.atttypmod - 4) >> 16
            WHEN a.atttypid = 21 THEN 16 WHEN a.atttypid = 23 THEN 32 WHEN a.atttypid = 20 THEN 64 END AS numeric_precision,
        CASE WHEN a.atttypid = 1700 AND a.atttypmod > 0 THEN (a.atttypmod - 4) & 65535
            WHEN a.atttypid IN (20, 21, 23) THEN 0 END AS numeric_scale,
        declared #> ARRAY['columns', a.attnum::text] AS declared
    FROM redshift_standin.pg_attribute a JOIN redshift_standin.pg_class c ON c.oid = a.attrelid
        JOIN redshift_standin.pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_catalog.pg_attrdef def ON def.adrelid = a.attrelid AND def.adnum = a.attnum
        LEFT JOIN redshift_standin."$declared" d ON d.relid = c.oid
    WHERE NOT a.attisdropped AND (pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE') OR n.nspname LIKE 'pg\_temp%');

CREATE OR REPLACE VIEW redshift_standin_information.columns AS
    SELECT current_database()::text AS table_catalog, schema_name AS table_schema, table_name, column_name,
        attnum::int AS ordinal_position, column_default, CASE WHEN not_null THEN 'NO' ELSE 'YES' END::text AS is_nullable, data_type,
        CASE WHEN data_type LIKE 'character%' THEN length END AS character_maximum_length, numeric_precision, numeric_scale
    FROM redshift_standin."$columns";
CREATE OR REPLACE VIEW redshift_standin_information.tables AS
    SELECT current_database()::text AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,
        CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'BASE TABLE' END::text AS table_type
    FROM redshift_standin.pg_class c JOIN redshift_standin.pg_namespace n ON n.oid = c.relnamespace;
CREATE OR REPLACE VIEW redshift_standin_information.schemata AS
    SELECT current_database()::text AS catalog_name, nspname AS schema_name, pg_catalog.pg_get_userbyid(nspowner) AS schema_owner
    FROM redshift_standin.pg_namespace;
CREATE OR REPLACE VIEW redshift_standin_information.views AS
    SELECT current_database()::text AS table_catalog, schemaname AS table_schema, viewname AS table_name, definition AS view_definition
    FROM redshift_standin.pg_views;

CREATE OR REPLACE VIEW redshift_standin.svv_columns AS SELECT * FROM redshift_standin_information.columns;
CREATE OR REPLACE VIEW redshift_standin.svv_tables AS SELECT * FROM redshift_standin_information.tables;
CREATE OR REPLACE VIEW redshift_standin.svv_redshift_columns AS
    SELECT current_database()::text AS database_name, schema_name, table_name, column_name, attnum::int AS ordinal_position,
        full_type AS data_type, column_default, CASE WHEN not_null THEN 'NO' ELSE 'YES' END::text AS is_nullable,
        coalesce(declared ->> 'encode', 'none') AS encoding, coalesce((declared ->> 'dist')::boolean, false) AS distkey,
        coalesce((declared ->> 'sort')::int, 0) AS sortkey
    FROM redshift_standin."$columns";
CREATE OR REPLACE VIEW redshift_standin.svv_all_columns AS
    SELECT database_name, schema_name, table_name, column_name, ordinal_position, column_default, is_nullable,
        c.data_type, c.length AS character_maximum_length, c.numeric_precision, c.numeric_scale
    FROM redshift_standin.svv_redshift_columns r
        JOIN (SELECT schema_name, table_name, column_name, data_type, length, numeric_precision, numeric_scale
              FROM redshift_standin."$columns") c USING (schema_name, table_name, column_name);
CREATE OR REPLACE VIEW redshift_standin.svv_redshift_tables AS
    SELECT table_catalog AS database_name, table_schema AS schema_name, table_name,
        CASE table_type WHEN 'VIEW' THEN 'VIEW' ELSE 'TABLE' END AS table_type
    FROM redshift_standin_information.tables;
CREATE OR REPLACE VIEW redshift_standin.svv_all_tables AS SELECT * FROM redshift_standin.svv_redshift_tables;
CREATE OR REPLACE VIEW redshift_standin.svv_redshift_schemas AS
    SELECT current_database()::text AS database_name, nspname AS schema_name, nspowner AS schema_owner, 'local'::text AS schema_type
    FROM redshift_standin.pg_namespace;
CREATE OR REPLACE VIEW redshift_standin.svv_all_schemas AS SELECT * FROM redshift_standin.svv_redshift_schemas;

CREATE OR REPLACE VIEW redshift_standin.pg_table_def AS
    SELECT schema_name AS schemaname, table_name AS tablename, column_name AS "column", full_type AS type,
        coalesce(declared ->> 'encode', 'none') AS encoding, coalesce((declared ->> 'dist')::boolean, false) AS distkey,
        coalesce((declared ->> 'sort')::int, 0) AS sortkey, not_null AS "notnull"
    FROM redshift_standin."$columns"
    WHERE relkind = 'r' AND (schema_name = ANY (pg_catalog.current_schemas(false)) OR schema_name LIKE 'pg\_temp%');

CREATE OR REPLACE FUNCTION redshift_standin.rows_of(relid oid) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    found bigint;
BEGIN
    -- Whoever asks about tables does not wait for one that is locked.
    IF EXISTS (SELECT FROM pg_catalog.pg_locks WHERE relation = relid AND mode = 'AccessExclusiveLock'
               AND pid <> pg_catalog.pg_backend_pid()) THEN
        RETURN pg_catalog.pg_stat_get_live_tuples(relid);
    END IF;
    EXECUTE 'SELECT count(*) FROM ' || relid::regclass INTO found;
    RETURN found;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN NULL;
END $$;
CREATE OR REPLACE VIEW redshift_standin.svv_table_info AS
    SELECT current_database()::text AS database, n.nspname AS schema, c.oid AS table_id, c.relname AS "table", 'Y'::text AS encoded,
        coalesce(d.declared ->> 'diststyle', 'AUTO(ALL)') AS diststyle,
        coalesce((SELECT column_name FROM redshift_standin."$columns" k WHERE k.relid = c.oid AND declared ->> 'sort' IN ('1', '-1') LIMIT 1),
            'AUTO(SORTKEY)') AS sortkey1,
        0::numeric AS unsorted, 0::numeric AS stats_off, redshift_standin.rows_of(c.oid)::numeric AS tbl_rows,
        1::bigint AS size
    FROM redshift_standin.pg_class c JOIN redshift_standin.pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN redshift_standin."$declared" d ON d.relid = c.oid
    WHERE c.relkind = 'r' AND redshift_standin.rows_of(c.oid) > 0;

-- Load errors of the user's own, texts padded as Redshift's CHAR columns are.
CREATE OR REPLACE VIEW redshift_standin.sys_load_error_detail AS
    SELECT u.usesysid::int AS user_id, query_id, query_id AS transaction_id, pid AS session_id, current_database()::text AS database_name,
        table_id::int AS table_id, start_time, file_name::character(256) AS file_name, line_number,
        redshift_standin.cut(column_name::varchar, 127)::character(127) AS column_name, column_type::character(10) AS column_type,
        column_length::character(10) AS column_length, position, error_code, error_message::character(512) AS error_message
    FROM redshift_standin."$load_errors" e JOIN redshift_standin.pg_user u ON u.usename = e.userid
    WHERE e.userid = session_user OR (SELECT usesuper FROM redshift_standin.pg_user WHERE usename = session_user);
CREATE OR REPLACE VIEW redshift_standin.stl_load_errors AS
    SELECT u.usesysid::int AS userid, 0 AS slice, table_id::int AS tbl, start_time AS starttime, pid AS session, query_id::int AS query,
        file_name::character(256) AS filename, line_number, redshift_standin.cut(column_name::varchar, 127)::character(127) AS colname,
        column_type::character(10) AS type, column_length::character(10) AS col_length, position,
        raw_line::character(1024) AS raw_line, raw_value::character(1024) AS raw_field_value, error_code AS err_code,
        error_message::character(100) AS err_reason
    FROM redshift_standin."$load_errors" e JOIN redshift_standin.pg_user u ON u.usename = e.userid
    WHERE e.userid = session_user OR (SELECT usesuper FROM redshift_standin.pg_user WHERE usename = session_user);
CREATE OR REPLACE VIEW redshift_standin.stl_loaderror_detail AS
    SELECT userid, slice, session, query, filename, line_number, 0 AS field, colname, raw_field_value AS value,
        CASE WHEN raw_field_value IS NULL THEN 1 ELSE 0 END AS is_null, type, col_length
    FROM redshift_standin.stl_load_errors;
