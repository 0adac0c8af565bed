-- What the stand-in has below: functions, operators and the catalogue that its clients see.
-- The schemas' names are refused to clients.
SELECT pg_advisory_lock(5439);
CREATE SCHEMA IF NOT EXISTS redshift_standin;
CREATE SCHEMA IF NOT EXISTS redshift_standin_operators;
CREATE SCHEMA IF NOT EXISTS redshift_standin_information;
GRANT USAGE ON SCHEMA redshift_standin, redshift_standin_operators, redshift_standin_information TO PUBLIC;
GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC;

CREATE COLLATION IF NOT EXISTS redshift_standin.case_insensitive
    (provider = icu, locale = 'und-u-ks-level2', deterministic = false);

CREATE TABLE IF NOT EXISTS redshift_standin."$names" (short text PRIMARY KEY, name text NOT NULL);
CREATE TABLE IF NOT EXISTS redshift_standin."$load_errors" (
    userid name DEFAULT session_user, query_id bigint, table_id bigint, pid int, start_time timestamp, file_name text,
    line_number bigint, column_name text, column_type text, column_length text, position int, raw_line text,
    raw_value text, error_code int, error_message text);
GRANT SELECT ON redshift_standin."$names", redshift_standin."$load_errors" TO PUBLIC;

-- Comparisons of characters ignore trailing blanks.
DO $do$
DECLARE
    operator record;
    type_name text;
BEGIN
    FOR operator IN SELECT * FROM (VALUES ('=', 'eq', '<>', '='), ('<>', 'ne', '=', '<>'), ('<', 'lt', '>=', '>'),
        ('<=', 'le', '>', '>='), ('>', 'gt', '<=', '<'), ('>=', 'ge', '<', '<=')) AS o (sign, name, negator, commutator)
    LOOP
        FOREACH type_name IN ARRAY ARRAY['text', 'varchar'] LOOP
            IF EXISTS (SELECT FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
                       WHERE nspname = 'redshift_standin_operators' AND oprname = operator.sign AND oprcode <> 0
                         AND oprleft = type_name::regtype) THEN
                CONTINUE;
            END IF;
            EXECUTE format($f$CREATE OR REPLACE FUNCTION redshift_standin.%1$s (%2$s, %2$s) RETURNS boolean
                LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $s$
                    SELECT pg_catalog.rtrim($1, ' ') OPERATOR(pg_catalog.%3$s) pg_catalog.rtrim($2, ' ') $s$ $f$,
                'blank_' || operator.name, type_name, operator.sign);
            EXECUTE format('CREATE OPERATOR redshift_standin_operators.%1$s (FUNCTION = redshift_standin.%2$s, LEFTARG = %3$s, '
                'RIGHTARG = %3$s, NEGATOR = OPERATOR(redshift_standin_operators.%4$s), '
                'COMMUTATOR = OPERATOR(redshift_standin_operators.%5$s))',
                operator.sign, 'blank_' || operator.name, type_name, operator.negator, operator.commutator);
        END LOOP;
    END LOOP;
END $do$;

CREATE OR REPLACE FUNCTION redshift_standin.full_name(short name) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT n.name FROM redshift_standin."$names" n WHERE n.short = $1::text), $1::text) $$;

-- The longest beginning of so many bytes, between characters; NULL stays NULL.
CREATE OR REPLACE FUNCTION redshift_standin.cut(value varchar, bytes int) RETURNS varchar
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    kept varchar := pg_catalog.left(value, bytes);
BEGIN
    WHILE pg_catalog.octet_length(kept) > bytes LOOP
        kept := pg_catalog.left(kept, pg_catalog.char_length(kept) - 1);
    END LOOP;
    RETURN kept;
END $$;

CREATE OR REPLACE FUNCTION redshift_standin.eight_bytes(value numeric, scale int) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    IF pg_catalog.abs(value) * 10::numeric ^ scale > 9223372036854775807::numeric THEN
        RAISE EXCEPTION USING ERRCODE = '22003', MESSAGE = 'Numeric data overflow (result precision)';
    END IF;
    RETURN value;
END $$;

CREATE OR REPLACE FUNCTION redshift_standin.version() RETURNS varchar LANGUAGE sql IMMUTABLE AS $$
    SELECT 'PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 (Red Hat 3.4.2-6.fc3), Redshift 1.0.0'::varchar $$;
CREATE OR REPLACE FUNCTION redshift_standin.getdate() RETURNS timestamp LANGUAGE sql STABLE AS $$
    SELECT pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() AT TIME ZONE 'UTC') $$;
CREATE OR REPLACE FUNCTION redshift_standin.sysdate() RETURNS timestamp LANGUAGE sql STABLE AS $$
    SELECT pg_catalog.now() AT TIME ZONE 'UTC' $$;
CREATE OR REPLACE FUNCTION redshift_standin.nvl2(anyelement, anyelement, anyelement) RETURNS anyelement
LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN $1 IS NULL THEN $3 ELSE $2 END $$;
CREATE OR REPLACE FUNCTION redshift_standin.charindex(varchar, varchar) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT pg_catalog.strpos($2, $1) $$;
CREATE OR REPLACE FUNCTION redshift_standin.sha2(varchar, int) RETURNS varchar LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT pg_catalog.encode(CASE $2 WHEN 0 THEN pg_catalog.sha256(pg_catalog.convert_to($1, 'UTF8'))
        WHEN 256 THEN pg_catalog.sha256(pg_catalog.convert_to($1, 'UTF8'))
        WHEN 512 THEN pg_catalog.sha512(pg_catalog.convert_to($1, 'UTF8')) END, 'hex') $$;
CREATE OR REPLACE FUNCTION redshift_standin.to_hex(bytea) RETURNS varchar LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT pg_catalog.encode($1, 'hex') $$;
CREATE OR REPLACE FUNCTION redshift_standin.to_hex(bigint) RETURNS varchar LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT pg_catalog.to_hex($1) $$;
CREATE OR REPLACE FUNCTION redshift_standin.from_hex(varchar) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT pg_catalog.decode($1, 'hex') $$;
CREATE OR REPLACE FUNCTION redshift_standin.to_varbyte(varchar, varchar) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT CASE pg_catalog.lower($2) WHEN 'utf8' THEN pg_catalog.convert_to($1, 'UTF8') WHEN 'utf-8' THEN pg_catalog.convert_to($1, 'UTF8')
        ELSE pg_catalog.decode($1, pg_catalog.lower($2)) END $$;
CREATE OR REPLACE FUNCTION redshift_standin.from_varbyte(bytea, varchar) RETURNS varchar LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT CASE pg_catalog.lower($2) WHEN 'utf8' THEN pg_catalog.convert_from($1, 'UTF8') WHEN 'utf-8' THEN pg_catalog.convert_from($1, 'UTF8')
        ELSE pg_catalog.encode($1, pg_catalog.lower($2)) END $$;
CREATE OR REPLACE FUNCTION redshift_standin.json_parse(varchar) RETURNS jsonb LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT $1::jsonb $$;
CREATE OR REPLACE FUNCTION redshift_standin.json_serialize(jsonb) RETURNS varchar LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT $1::varchar $$;
CREATE OR REPLACE FUNCTION redshift_standin.dateadd(text, bigint, timestamp) RETURNS timestamp LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT $3 + $2 * ('1 ' || $1)::interval $$;
CREATE OR REPLACE FUNCTION redshift_standin.datediff(text, timestamp, timestamp) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT CASE pg_catalog.rtrim(pg_catalog.lower($1), 's')
        WHEN 'day' THEN $3::date - $2::date
        WHEN 'month' THEN (pg_catalog.date_part('year', $3) - pg_catalog.date_part('year', $2)) * 12
            + pg_catalog.date_part('month', $3) - pg_catalog.date_part('month', $2)
        WHEN 'year' THEN pg_catalog.date_part('year', $3) - pg_catalog.date_part('year', $2)
        ELSE pg_catalog.trunc(pg_catalog.date_part('epoch', pg_catalog.date_trunc($1, $3) - pg_catalog.date_trunc($1, $2))::numeric
            / pg_catalog.date_part('epoch', ('1 ' || $1)::interval)::numeric) END::bigint $$;

-- What the session told about its last COPY and query.
CREATE OR REPLACE FUNCTION redshift_standin.last_copy_count() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(pg_catalog.current_setting('redshift_standin.copy_count', true), '')::bigint, 0) $$;
CREATE OR REPLACE FUNCTION redshift_standin.last_copy_id() RETURNS int LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(pg_catalog.current_setting('redshift_standin.copy_id', true), '')::int, -1) $$;
CREATE OR REPLACE FUNCTION redshift_standin.last_query_id() RETURNS int LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(pg_catalog.current_setting('redshift_standin.query_id', true), '')::int, -1) $$;

-- Types as Redshift tells them: the catalogue's numbers are Redshift's own where the type is.
CREATE OR REPLACE FUNCTION redshift_standin.format_type(type oid, modifier int) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE $1 WHEN 4000 THEN 'super'
        WHEN 6551 THEN 'binary varying' || CASE WHEN $2 > 4 THEN '(' || $2 - 4 || ')' ELSE '' END
        ELSE pg_catalog.format_type($1, $2) END $$;
