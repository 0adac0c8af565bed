//! What Redshift refuses: each row with the page that says so.

use tokio_postgres::Client;

use crate::support::{LOAD, Standin, error, value};

/// Tables that the statements speak of.
pub const GROUND: &str = "CREATE SCHEMA s;
    CREATE TABLE s.t (id INT NOT NULL, name VARCHAR(20), kept VARCHAR(20) DEFAULT 'x', keyed VARCHAR(20) UNIQUE, \
        packed VARCHAR(20) ENCODE text255, amount DECIMAL(10,2));
    CREATE TABLE s.e (id VARCHAR(20) PRIMARY KEY, far VARCHAR(20) REFERENCES s.t (keyed), dict VARCHAR(20) ENCODE bytedict, \
        run VARCHAR(20) ENCODE runlength, long VARCHAR(20) ENCODE text32k, free VARCHAR(20) ENCODE lzo);
    CREATE TABLE s.u (id INT NOT NULL, name VARCHAR(20));
    CREATE TABLE s.d (id INT NOT NULL, name VARCHAR(20)) DISTKEY (id);
    CREATE TABLE s.like_u (id INT NOT NULL, name VARCHAR(20));
    CREATE TEMP TABLE brief (id INT NOT NULL, name VARCHAR(20));
    CREATE TABLE s.w (id INT NOT NULL, name VARCHAR(20), kept VARCHAR(20) DEFAULT 'x', keyed VARCHAR(20) UNIQUE, \
        packed VARCHAR(20), amount DECIMAL(10,2));
    INSERT INTO s.t (id) VALUES (1)";

/// Statement, SQLSTATE, page.
const EVERYWHERE: &[(&str, &str, &str)] = &[
    ("CREATE INDEX i ON s.t (id)", "0A000", "Unsupported PostgreSQL features"),
    ("CREATE UNIQUE INDEX i ON s.t (id)", "0A000", "Unsupported PostgreSQL features"),
    ("CREATE SEQUENCE q", "42601", "Unsupported PostgreSQL features"),
    ("SELECT nextval('q')", "42883", "Unsupported PostgreSQL features"),
    ("CREATE TRIGGER g AFTER INSERT ON s.t EXECUTE FUNCTION f()", "42601", "Unsupported PostgreSQL features"),
    ("INSERT INTO s.t (id) VALUES (1) ON CONFLICT DO NOTHING", "42601", "Unsupported PostgreSQL features"),
    (
        "INSERT INTO s.t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 2",
        "42601",
        "Unsupported PostgreSQL features",
    ),
    ("INSERT INTO s.t (id) VALUES (1) RETURNING id", "42601", "Unsupported PostgreSQL features"),
    ("UPDATE s.t SET id = 1 RETURNING id", "42601", "Unsupported PostgreSQL features"),
    ("DELETE FROM s.t RETURNING id", "42601", "Unsupported PostgreSQL features"),
    ("WITH d AS (DELETE FROM s.t RETURNING id) SELECT * FROM d", "42601", "Unsupported PostgreSQL features"),
    ("SAVEPOINT a", "0A000", "Unsupported PostgreSQL features"),
    ("ROLLBACK TO SAVEPOINT a", "0A000", "Unsupported PostgreSQL features"),
    ("RELEASE SAVEPOINT a", "0A000", "Unsupported PostgreSQL features"),
    ("LISTEN channel", "42601", "Unsupported PostgreSQL features"),
    ("NOTIFY channel", "42601", "Unsupported PostgreSQL features"),
    ("SELECT pg_advisory_lock(1)", "42883", "Unsupported PostgreSQL features"),
    ("SELECT pg_advisory_xact_lock(1)", "42883", "Unsupported PostgreSQL features"),
    ("SELECT pg_sleep(1)", "42883", "Unsupported PostgreSQL functions"),
    ("DO $$ BEGIN END $$", "42601", "Unsupported PostgreSQL features"),
    ("SELECT ARRAY[1, 2]", "42601", "Unsupported PostgreSQL features"),
    ("SELECT id FROM s.t WHERE id = ANY ('{1}')", "0A000", "Unsupported PostgreSQL features"),
    ("SELECT * FROM generate_series(1, 2)", "0A000", "Amazon Redshift and PostgreSQL: leader-only functions"),
    ("SELECT DISTINCT ON (id) id FROM s.t", "0A000", "Unsupported PostgreSQL features"),
    ("SELECT id FROM s.t FOR UPDATE", "42601", "Unsupported PostgreSQL features"),
    (
        "SELECT * FROM (VALUES (1)) AS v (a)",
        "42601",
        "Unsupported PostgreSQL features: VALUES list used as constant tables",
    ),
    ("VALUES (1)", "42601", "Unsupported PostgreSQL features: VALUES list used as constant tables"),
    ("SELECT * FROM s.t, LATERAL (SELECT 1) AS x", "42601", "Unsupported PostgreSQL features"),
    ("COPY s.t FROM STDIN", "0A000", "COPY: data sources"),
    ("COPY s.t TO STDOUT", "42601", "COPY; UNLOAD"),
    ("CREATE TABLE s.x (a UUID)", "0A000", "Unsupported PostgreSQL data types"),
    ("CREATE TABLE s.x (a JSON)", "0A000", "Unsupported PostgreSQL data types"),
    ("CREATE TABLE s.x (a JSONB)", "0A000", "Unsupported PostgreSQL data types"),
    ("CREATE TABLE s.x (a BYTEA)", "0A000", "Unsupported PostgreSQL data types"),
    ("CREATE TABLE s.x (a MONEY)", "0A000", "Unsupported PostgreSQL data types"),
    ("CREATE TABLE s.x (a XML)", "0A000", "Unsupported PostgreSQL data types"),
    ("CREATE TABLE s.x (a BIT(3))", "0A000", "Unsupported PostgreSQL data types"),
    ("CREATE TABLE s.x (a SERIAL)", "0A000", "Unsupported PostgreSQL data types"),
    ("CREATE TABLE s.x (a INT[])", "42601", "Unsupported PostgreSQL data types"),
    ("CREATE TABLE s.x (a TINYINT)", "42704", "Numeric types"),
    ("CREATE TYPE e AS ENUM ('a')", "42601", "Unsupported PostgreSQL data types"),
    ("SELECT CAST('1' AS uuid)", "0A000", "Unsupported PostgreSQL data types"),
    ("SELECT '1'::jsonb", "0A000", "Unsupported PostgreSQL data types"),
    ("CREATE TABLE s.x (a DECIMAL(39))", "22023", "Numeric types: precision at most 38"),
    ("CREATE TABLE s.x (a DECIMAL(38,38))", "22023", "Numeric types: scale at most 37"),
    ("CREATE TABLE s.x (a VARCHAR(65536))", "22023", "Character types: at most 65535 bytes"),
    ("CREATE TABLE s.x (a CHAR(4097))", "22023", "Character types: at most 4096 bytes"),
    ("CREATE TABLE s.x (a VARBYTE(1024001))", "22023", "VARBYTE type: at most 1,024,000 bytes"),
    ("CREATE TABLE s.x (a SUPER) DISTKEY (a)", "0A000", "CREATE TABLE: DISTKEY"),
    ("CREATE TABLE s.x (a SUPER SORTKEY)", "0A000", "Limitations for SUPER"),
    ("CREATE TABLE s.x (a VARBYTE DISTKEY)", "0A000", "VARBYTE type"),
    ("CREATE TABLE s.x (a INT DISTKEY, b INT DISTKEY)", "42601", "CREATE TABLE: one DISTKEY"),
    ("CREATE TABLE s.x (a INT) DISTSTYLE KEY", "42601", "CREATE TABLE: DISTSTYLE KEY needs DISTKEY"),
    ("CREATE TABLE s.x (a INT) DISTSTYLE EVEN DISTKEY (a)", "42601", "CREATE TABLE: DISTSTYLE"),
    ("CREATE TABLE s.x (a INT CHECK (a > 0))", "42601", "Unsupported PostgreSQL features: CHECK constraints"),
    ("CREATE TABLE s.x (a INT, EXCLUDE (a WITH =))", "42601", "Unsupported PostgreSQL features"),
    ("CREATE TABLE s.x (a INT) INHERITS (s.t)", "42601", "Unsupported PostgreSQL features: inheritance"),
    ("CREATE TABLE s.x (a INT) PARTITION BY RANGE (a)", "42601", "Unsupported PostgreSQL features: partitioning"),
    ("CREATE TABLE s.x (a INT) TABLESPACE b", "42601", "Unsupported PostgreSQL features: tablespaces"),
    ("CREATE UNLOGGED TABLE s.x (a INT)", "42601", "CREATE TABLE"),
    ("CREATE TABLE s.x (a INT GENERATED ALWAYS AS IDENTITY)", "42601", "CREATE TABLE: IDENTITY"),
    ("CREATE TABLE s.x (a VARCHAR(9) IDENTITY(1,1))", "42P16", "CREATE TABLE: IDENTITY is INT or BIGINT"),
    ("CREATE TABLE s.x (a INT ENCODE pied)", "42601", "Compression encodings"),
    ("CREATE TABLE s.x (a INT COLLATE case_insensitive)", "42804", "CREATE TABLE: COLLATE is for CHAR and VARCHAR"),
    ("CREATE TABLE s.x (LIKE s.t INCLUDING ALL)", "42601", "CREATE TABLE: LIKE"),
    ("CREATE TABLE s.x (ctid INT)", "42701", "Names and identifiers; system columns"),
    ("CREATE TABLE s.x (\"xmin\" INT)", "42701", "Names and identifiers; system columns"),
    ("CREATE TABLE s.x (tag INT)", "42601", "Reserved words"),
    ("CREATE TABLE s.x (a INT, A INT)", "42701", "Names and identifiers: case is folded"),
    ("CREATE TABLE s.x (\"a\" INT, \"A\" INT)", "42701", "Names and identifiers: case is folded within quotes, too"),
    ("SELECT id AS percent FROM s.t", "42601", "Reserved words"),
    ("CREATE VIEW IF NOT EXISTS s.v AS SELECT 1", "42601", "CREATE VIEW"),
    ("CREATE VIEW s.v AS SELECT id FROM t WITH NO SCHEMA BINDING", "42601", "CREATE VIEW: qualified names"),
    ("ALTER TABLE s.t ADD COLUMN IF NOT EXISTS a INT", "42601", "ALTER TABLE"),
    ("ALTER TABLE s.t ADD COLUMN a INT, ADD COLUMN b INT", "42601", "ALTER TABLE: one column a statement"),
    ("ALTER TABLE s.t ADD COLUMN a INT NOT NULL", "42601", "ALTER TABLE: NOT NULL needs a default"),
    ("ALTER TABLE s.t ADD COLUMN a INT PRIMARY KEY", "0A000", "ALTER TABLE: ADD COLUMN"),
    ("ALTER TABLE s.t DROP COLUMN IF EXISTS name", "42601", "ALTER TABLE"),
    ("ALTER TABLE s.t ALTER COLUMN id DROP NOT NULL", "42601", "ALTER TABLE: no such clause"),
    ("ALTER TABLE s.t ALTER COLUMN name SET NOT NULL", "42601", "ALTER TABLE: no such clause"),
    ("ALTER TABLE s.t ALTER COLUMN name SET DEFAULT 'a'", "42601", "ALTER TABLE: no such clause"),
    ("ALTER TABLE s.t ALTER COLUMN id TYPE BIGINT", "0A000", "ALTER TABLE: ALTER COLUMN TYPE is for VARCHAR"),
    (
        "ALTER TABLE s.t ALTER COLUMN amount TYPE DECIMAL(12,2)",
        "0A000",
        "ALTER TABLE: ALTER COLUMN TYPE is for VARCHAR",
    ),
    ("ALTER TABLE s.t ALTER COLUMN name TYPE VARCHAR(20)", "0A000", "Artie Transfer: the same size"),
    ("ALTER TABLE s.t ALTER COLUMN kept TYPE VARCHAR(30)", "0A000", "ALTER TABLE: not with DEFAULT"),
    ("ALTER TABLE s.t ALTER COLUMN keyed TYPE VARCHAR(30)", "0A000", "ALTER TABLE: not with UNIQUE"),
    ("ALTER TABLE s.t ALTER COLUMN packed TYPE VARCHAR(30)", "0A000", "ALTER TABLE: not with TEXT255"),
    ("ALTER TABLE s.t ALTER COLUMN name TYPE VARCHAR(30) USING name", "42601", "ALTER TABLE"),
    ("ALTER TABLE s.t RENAME COLUMN name TO ctid", "42701", "Names and identifiers; system columns"),
    ("MERGE INTO s.t USING s.u ON t.id = u.id WHEN MATCHED THEN DELETE", "42601", "MERGE: both clauses are required"),
    (
        "MERGE INTO s.t USING s.u ON t.id = u.id WHEN NOT MATCHED THEN INSERT (id) VALUES (u.id)",
        "42601",
        "MERGE: both clauses are required",
    ),
    (
        "MERGE INTO s.t USING s.u ON t.id = u.id WHEN MATCHED AND u.name = 'd' THEN DELETE \
         WHEN NOT MATCHED THEN INSERT (id) VALUES (u.id)",
        "42601",
        "MERGE: no further condition",
    ),
    (
        "MERGE INTO s.t USING s.u ON t.id = u.id WHEN MATCHED THEN DELETE WHEN MATCHED THEN UPDATE SET name = u.name \
         WHEN NOT MATCHED THEN INSERT (id) VALUES (u.id)",
        "42601",
        "MERGE: one clause of each kind",
    ),
    (
        "MERGE INTO s.t USING s.u ON t.id < u.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id) VALUES (u.id)",
        "0A000",
        "MERGE: equality only",
    ),
    (
        "MERGE INTO s.t USING (SELECT * FROM s.u) AS u ON t.id = u.id WHEN MATCHED THEN DELETE \
         WHEN NOT MATCHED THEN INSERT (id) VALUES (u.id)",
        "42601",
        "MERGE: the source is a table",
    ),
    (
        "WITH c AS (SELECT 1) MERGE INTO s.t USING s.u ON t.id = u.id WHEN MATCHED THEN DELETE \
         WHEN NOT MATCHED THEN INSERT (id) VALUES (u.id)",
        "42601",
        "MERGE: no WITH",
    ),
    ("TRUNCATE s.t, s.u", "42601", "TRUNCATE: one table"),
    ("TRUNCATE s.t CASCADE", "42601", "TRUNCATE"),
    ("VACUUM ANALYZE s.t", "42601", "VACUUM"),
    ("VACUUM (FULL) s.t", "42601", "VACUUM"),
    ("ANALYZE s.t SOME COLUMNS", "42601", "ANALYZE"),
    ("SET lock_timeout = 5", "42704", "Configuration reference"),
    ("SET idle_in_transaction_session_timeout = 5", "42704", "Configuration reference"),
    ("SET extra_float_digits = 3", "22023", "Configuration reference: at most 2"),
    ("SET LOCAL statement_timeout = 5", "42601", "SET"),
    ("SHOW server_version_num", "42704", "Amazon Redshift and PostgreSQL"),
    ("SELECT * FROM pg_proc", "42P01", "allow-list of the catalogue"),
    ("SELECT * FROM pg_index", "42P01", "Unsupported PostgreSQL features: indexes"),
    ("SELECT * FROM pg_catalog.pg_range", "42P01", "Amazon Redshift and PostgreSQL"),
    ("SELECT * FROM information_schema.element_types", "42P01", "Unsupported PostgreSQL data types: arrays"),
    ("SELECT * FROM redshift_standin.\"$names\"", "42501", "the stand-in's own"),
    ("SET search_path TO redshift_standin", "42501", "the stand-in's own"),
    ("UNLISTEN channel", "42601", "Unsupported PostgreSQL features"),
    ("SELECT currval('q')", "42883", "Unsupported PostgreSQL features"),
    ("SELECT setval('q', 1)", "42883", "Unsupported PostgreSQL features"),
    ("SELECT pg_try_advisory_lock(1)", "42883", "Unsupported PostgreSQL features"),
    ("SELECT pg_advisory_unlock(1)", "42883", "Unsupported PostgreSQL features"),
    ("SELECT pg_notify('a', 'b')", "42883", "Unsupported PostgreSQL features"),
    ("SELECT gen_random_uuid()", "42883", "Unsupported PostgreSQL functions"),
    ("SELECT id, generate_series(1, 2) FROM s.t", "42883", "Amazon Redshift and PostgreSQL: leader-only functions"),
    ("SELECT CAST('{1}' AS int[])", "42601", "Unsupported PostgreSQL data types"),
    ("CREATE RULE r AS ON INSERT TO s.t DO NOTHING", "42601", "Unsupported PostgreSQL features"),
    ("CREATE TABLE s.x (a INT[3])", "42601", "Unsupported PostgreSQL data types: arrays"),
    ("DECLARE c CURSOR FOR SELECT 1", "0A000", "DECLARE: within a transaction; the stand-in's limit there"),
    ("COPY s.t FROM '/tmp/file' IAM_ROLE default CSV", "0A000", "COPY: data sources"),
    ("COPY s.t FROM PROGRAM 'ls'", "42601", "COPY: data sources"),
    ("CREATE TABLE s.x (a INT, b INT) DISTKEY (a, b)", "42601", "CREATE TABLE: DISTKEY is one column"),
    ("CREATE TABLE s.x (a SUPER) SORTKEY (a)", "0A000", "Limitations for SUPER"),
    ("CREATE TABLE s.x (a VARBYTE(8) SORTKEY)", "0A000", "VARBYTE type"),
    ("CREATE TABLE s.x (a VARBYTE(8)) SORTKEY (a)", "0A000", "VARBYTE type"),
    ("CREATE TABLE s.x (a INT) SORTKEY (b)", "42703", "CREATE TABLE: SORTKEY"),
    ("CREATE TABLE s.x (a GEOMETRY DISTKEY)", "0A000", "CREATE TABLE: DISTKEY; the stand-in has no GEOMETRY"),
    ("CREATE TABLE s.x (a HLLSKETCH SORTKEY)", "0A000", "CREATE TABLE: SORTKEY; the stand-in has no HLLSKETCH"),
    ("CREATE TABLE s.x (a BIGINT IDENTITY)", "42601", "CREATE TABLE: IDENTITY takes a seed and a step"),
    ("INSERT INTO s.t (name) VALUES ('no id')", "23502", "Defining table constraints: NOT NULL is enforced"),
    ("UPDATE s.t SET id = NULL", "23502", "Defining table constraints: NOT NULL is enforced"),
    ("ALTER TABLE s.t ADD COLUMN a INT DISTKEY", "0A000", "ALTER TABLE: ADD COLUMN"),
    ("ALTER TABLE s.t ADD COLUMN a BIGINT IDENTITY(1,1)", "0A000", "ALTER TABLE: ADD COLUMN"),
    ("ALTER TABLE s.t ADD (a INT, b INT)", "42601", "ALTER TABLE: one column a statement"),
    ("ALTER TABLE s.t ALTER COLUMN id SET DATA TYPE BIGINT", "42601", "ALTER TABLE"),
    ("ALTER TABLE s.e ALTER COLUMN id TYPE VARCHAR(30)", "0A000", "ALTER TABLE: not with PRIMARY KEY"),
    ("ALTER TABLE s.e ALTER COLUMN far TYPE VARCHAR(30)", "0A000", "ALTER TABLE: not with FOREIGN KEY"),
    ("ALTER TABLE s.e ALTER COLUMN dict TYPE VARCHAR(30)", "0A000", "ALTER TABLE: not with BYTEDICT"),
    ("ALTER TABLE s.e ALTER COLUMN run TYPE VARCHAR(30)", "0A000", "ALTER TABLE: not with RUNLENGTH"),
    ("ALTER TABLE s.e ALTER COLUMN long TYPE VARCHAR(30)", "0A000", "ALTER TABLE: not with TEXT32K"),
    ("ALTER TABLE s.e ALTER COLUMN free TYPE CHAR(30)", "0A000", "ALTER TABLE: ALTER COLUMN TYPE is for VARCHAR"),
    ("ALTER TABLE s.t APPEND FROM s.u", "0A000", "ALTER TABLE APPEND: identical columns"),
    ("ALTER TABLE s.t APPEND FROM s.w", "0A000", "ALTER TABLE APPEND: identical encodings"),
    ("ALTER TABLE s.u APPEND FROM s.d", "0A000", "ALTER TABLE APPEND: identical distribution"),
    ("ALTER TABLE s.u APPEND FROM brief", "0A000", "ALTER TABLE APPEND: permanent tables"),
    (
        "MERGE INTO s.t USING s.u ON t.id = u.id WHEN MATCHED THEN UPDATE SET t.name = u.name WHEN NOT MATCHED THEN INSERT (id) VALUES (u.id)",
        "42601",
        "MERGE: columns of SET are not qualified",
    ),
    (
        "MERGE INTO s.t USING s.u ON t.id = u.id WHEN MATCHED THEN UPDATE SET name = u.name WHEN MATCHED THEN DELETE",
        "42601",
        "MERGE: upserts and deletes do not mix",
    ),
    (
        "MERGE INTO s.t USING s.u ON t.id = u.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED AND u.id > 1 THEN INSERT (id) VALUES (u.id)",
        "42601",
        "MERGE: no further condition",
    ),
    (
        "MERGE INTO s.t USING s.u ON t.id = u.id OR t.name = u.name WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id) VALUES (u.id)",
        "0A000",
        "MERGE: equality only",
    ),
    (
        "MERGE INTO s.t USING s.u ON t.id = u.id REMOVE DUPLICATES",
        "42601",
        "MERGE: identical columns; the stand-in's limit otherwise",
    ),
    ("VACUUM s.t TO 101 PERCENT", "22023", "VACUUM"),
    ("VACUUM s.t, s.u", "42601", "VACUUM: one table"),
    ("VACUUM DELETE s.t", "42601", "VACUUM"),
    ("CREATE DATABASE d", "0A000", "the stand-in's limit"),
    ("LOCK s.t", "25P01", "LOCK: within a transaction"),
    ("LOCK s.t IN SHARE MODE", "42601", "LOCK: one mode"),
];

/// Refused within a block.
const IN_BLOCK: &[(&str, &str, &str)] = &[
    ("VACUUM s.t", "25001", "VACUUM"),
    ("VACUUM", "25001", "VACUUM"),
    ("ALTER TABLE s.t APPEND FROM s.w", "25001", "ALTER TABLE APPEND"),
    ("ALTER TABLE s.t ALTER COLUMN name TYPE VARCHAR(30)", "25001", "ALTER TABLE"),
    ("ALTER TABLE s.t ALTER COLUMN name ENCODE lzo", "25001", "ALTER TABLE"),
    ("VACUUM DELETE ONLY s.t BOOST", "25001", "VACUUM"),
    ("CREATE DATABASE d", "25001", "CREATE DATABASE"),
    ("CREATE EXTERNAL TABLE s.x (a INT) STORED AS PARQUET LOCATION 's3://b/'", "25001", "CREATE EXTERNAL TABLE"),
    ("ALTER TABLE s.t ADD PARTITION (a = 1) LOCATION 's3://b/'", "25001", "ALTER TABLE: external tables"),
    ("ALTER TABLE s.t SET LOCATION 's3://b/'", "25001", "ALTER TABLE: external tables"),
];

/// What is told in place of the row's error, if it is another.
async fn told_otherwise(client: &Client, statement: &str, (_, code, page): &(&str, &str, &str)) -> Option<String> {
    let told = error(client, statement).await.unwrap_or_else(|error| format!("{error:#}"));
    (!told.starts_with(code)).then(|| format!("statement {statement}: {told}, not {code} ({page})"))
}

#[tokio::test]
async fn what_redshift_refuses_is_refused() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client.batch_execute(GROUND).await?;
    let mut wrong = Vec::new();
    for row in EVERYWHERE {
        wrong.extend(told_otherwise(&client, row.0, row).await);
    }
    for row in IN_BLOCK {
        client.batch_execute("BEGIN").await?;
        wrong.extend(told_otherwise(&client, row.0, row).await);
        client.batch_execute("ROLLBACK").await?;
        wrong.extend(told_otherwise(&client, &format!("SELECT 1; {}", row.0), row).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(value(&client, "SELECT count(*) FROM s.t").await?, "1");
    Ok(())
}

/// Options of COPY that do not go together, or do not exist.
const COPIES: &[(&str, &str, &str)] = &[
    ("", "42601", "COPY: authorization parameters"),
    ("CSV", "42601", "COPY: authorization parameters"),
    ("IAM_ROLE 'role' CSV", "XX000", "COPY: IAM_ROLE takes an ARN"),
    ("IAM_ROLE 'arn:aws:iam::1:role/a, arn:aws:iam::1:role/b' CSV", "XX000", "COPY: a chain has no spaces"),
    ("IAM_ROLE 'arn:aws:iam::1:role/unknown' CSV", "XX000", "COPY: authorization parameters"),
    ("IAM_ROLE default CSV", "XX000", "COPY: no default role is set"),
    ("ACCESS_KEY_ID 'a' CSV", "42601", "COPY: SECRET_ACCESS_KEY follows"),
    ("{} ESCAPE", "42601", "Data format parameters: not with CSV"),
    ("{} REMOVEQUOTES", "42601", "Data format parameters: not with CSV"),
    ("{} FIXEDWIDTH", "42601", "Data format parameters: not with CSV"),
    ("{} CSV", "42601", "COPY: an option once"),
    ("{} GZIP ZSTD", "42601", "File compression parameters: one"),
    ("{} MAXERROR 100001", "22023", "Data load operations: at most 100000"),
    ("{} DELIMITER ',,'", "22023", "Data format parameters"),
    ("{} DELIMITER '\"'", "22023", "Data format parameters"),
    ("{} HEADER", "42601", "COPY"),
    ("{} FORCE_NULL (a)", "42601", "COPY"),
    ("{} BZIP2", "0A000", "the stand-in's limit"),
    ("{} LZOP", "0A000", "the stand-in's limit"),
];

#[tokio::test]
async fn copies_that_redshift_refuses_are_refused() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client.batch_execute(GROUND).await?;
    standin.put("in/1", "1,a\n")?;
    let mut wrong = Vec::new();
    for row in COPIES {
        let statement = format!("COPY s.u FROM 's3://bucket/in/' {}", row.0.replace("{}", LOAD));
        wrong.extend(told_otherwise(&client, &statement, row).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let newline = error(&client, "COPY s.u FROM 's3://bucket/in/' IAM_ROLE default CSV NULL AS '\\n'").await?;
    assert!(newline.contains("newline"), "{newline} (Data format parameters)");
    let parameter = client.execute("COPY s.u FROM $1 IAM_ROLE default CSV", &[&"s3://bucket/in/"]).await;
    assert!(format!("{parameter:?}").contains("syntax error"), "{parameter:?} (PREPARE: no parameters in COPY)");
    let parameter = client.execute("CREATE TABLE s.p (a INT DEFAULT $1)", &[&1_i32]).await;
    assert!(format!("{parameter:?}").contains("syntax error"), "{parameter:?} (PREPARE: no parameters in DDL)");
    Ok(())
}
