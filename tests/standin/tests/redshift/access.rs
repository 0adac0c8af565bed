//! Logins, rights, views, what is told of a session, and what is noted of it.

use standin::redshift::{Audit, Isolation};
use tokio_postgres::NoTls;

use crate::support::{LOAD, PASSWORD, Standin, error, rows, value};

#[tokio::test]
async fn passwords_are_asked_for_as_they_are_stored() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(standin.port).dbname(&standin.database).user("loader").password("wrong");
    let told = config.connect(NoTls).await.err().map(|error| format!("{error:?}")).unwrap_or_default();
    assert!(told.contains("password authentication failed for user \\\"loader\\\""), "{told}");
    config.user("digest").password(PASSWORD);
    let told = config.connect(NoTls).await.err().map(|error| format!("{error:?}")).unwrap_or_default();
    assert!(told.contains("authentication"), "{told}");
    config.user("loader").dbname("elsewhere");
    let told = config.connect(NoTls).await.err().map(|error| format!("{error:?}")).unwrap_or_default();
    assert!(told.contains("3D000"), "{told}");
    config.dbname(&standin.database).options("-c extra_float_digits=3");
    let told = config.connect(NoTls).await.err().map(|error| format!("{error:?}")).unwrap_or_default();
    assert!(told.contains("outside the valid range"), "{told}");
    Ok(())
}

#[tokio::test]
async fn rights_are_asked_for() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let (owner, other, admin) =
        (standin.connect().await?, standin.connect_as("other").await?, standin.connect_as("admin").await?);
    owner.batch_execute("CREATE SCHEMA s; CREATE TABLE s.t (id INT); INSERT INTO s.t VALUES (1)").await?;
    for statement in ["SELECT * FROM s.t", "INSERT INTO s.t VALUES (1)", "TRUNCATE s.t", "DROP TABLE s.t"] {
        let told = error(&other, statement).await?;
        assert!(told.starts_with("42501"), "{statement}: {told}");
    }
    owner.batch_execute("GRANT USAGE ON SCHEMA s TO other; GRANT SELECT, INSERT ON TABLE s.t TO other").await?;
    other.batch_execute("INSERT INTO s.t VALUES (2)").await?;
    assert_eq!(value(&other, "SELECT count(*) FROM s.t").await?, "2");
    let told = error(&other, "DELETE FROM s.t").await?;
    assert!(told.starts_with("42501"), "{told}");
    let told = error(&other, "VACUUM s.t").await?;
    assert!(told.starts_with("42501"), "{told}");
    let rights = "SELECT has_table_privilege('other', 's.t', 'select'), has_table_privilege('other', 's.t', 'delete'), \
                  has_schema_privilege('other', 's', 'usage')";
    assert_eq!(rows(&owner, rights).await?, [["t", "f", "t"]]);
    admin.batch_execute("CREATE USER reader PASSWORD 'loader-secret'; CREATE GROUP readers").await?;
    admin.batch_execute("ALTER GROUP readers ADD USER reader; GRANT USAGE ON SCHEMA s TO GROUP readers").await?;
    admin.batch_execute("GRANT SELECT ON ALL TABLES IN SCHEMA s TO GROUP readers").await?;
    let reader = standin.connect_as("reader").await?;
    assert_eq!(value(&reader, "SELECT count(*) FROM s.t").await?, "2");
    let told = error(&reader, "CREATE SCHEMA mine").await?;
    assert!(told.starts_with("42501"), "{told}");
    let told = error(&owner, "CREATE USER more PASSWORD 'x'").await?;
    assert!(told.starts_with("42501"), "{told}");
    owner.batch_execute("REVOKE SELECT ON s.t FROM other").await?;
    let told = error(&other, "SELECT * FROM s.t").await?;
    assert!(told.starts_with("42501"), "{told}");
    Ok(())
}

#[tokio::test]
async fn views_bind_to_the_table_or_to_its_name() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client
        .batch_execute(
            "CREATE TABLE t (id INT, a VARCHAR(9)); CREATE VIEW bound AS SELECT id FROM t; \
             CREATE VIEW late AS SELECT id FROM public.t WITH NO SCHEMA BINDING; \
             CREATE TABLE n (id INT, a VARCHAR(9)); INSERT INTO n VALUES (1, 'x')",
        )
        .await?;
    let told = error(&client, "DROP TABLE t").await?;
    assert!(told.starts_with("2BP01"), "{told}");
    client.batch_execute("BEGIN; ALTER TABLE t RENAME TO o; ALTER TABLE n RENAME TO t; COMMIT").await?;
    assert_eq!(value(&client, "SELECT count(*) FROM bound").await?, "0");
    assert_eq!(value(&client, "SELECT count(*) FROM late").await?, "1");
    client.batch_execute("DROP TABLE o CASCADE").await?;
    assert!(error(&client, "SELECT * FROM bound").await?.starts_with("42P01"));
    client.batch_execute("DROP TABLE t").await?;
    assert!(error(&client, "SELECT * FROM late").await?.starts_with("42P01"));
    client.batch_execute("CREATE TABLE t (id INT); INSERT INTO t VALUES (7)").await?;
    assert_eq!(value(&client, "SELECT id FROM late").await?, "7");
    let views = rows(&client, "SELECT viewname FROM pg_views").await?;
    assert_eq!(views, [["late"]]);
    assert!(value(&client, "SELECT definition FROM pg_views").await?.to_lowercase().contains("no schema binding"));
    Ok(())
}

#[tokio::test]
async fn serverless_has_neither_stl_nor_stv() -> anyhow::Result<()> {
    let standin = Standin::start_with(|mut settings| {
        settings.serverless = true;
        settings.isolation = Isolation::Snapshot;
        settings
    })
    .await?;
    let client = standin.connect().await?;
    for relation in ["stl_load_errors", "stl_loaderror_detail", "stv_slices", "stv_db_isolation_level"] {
        let told = error(&client, &format!("SELECT * FROM {relation}")).await?;
        assert!(told.starts_with("42P01"), "{told}");
    }
    assert_eq!(value(&client, "SELECT count(*) FROM sys_load_error_detail").await?, "0");
    Ok(())
}

#[tokio::test]
async fn every_statement_is_noted() -> anyhow::Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    let audit = Audit::to(file.path())?;
    let standin = Standin::start_with(|mut settings| {
        settings.audit = audit;
        settings
    })
    .await?;
    let client = standin.connect().await?;
    client.batch_execute("CREATE TABLE t (id INT)").await?;
    standin.put("1", "1\n")?;
    client.batch_execute("COPY t FROM 's3://bucket/1' ACCESS_KEY_ID 'access' SECRET_ACCESS_KEY 'secret' CSV").await?;
    client.execute("INSERT INTO t VALUES ($1)", &[&2_i32]).await?;
    let noted = std::fs::read_to_string(file.path())?;
    assert!(
        noted.contains("client: COPY t FROM") && noted.contains("upstream: COPY \"t\" (\"id\") FROM STDIN"),
        "{noted}"
    );
    assert!(noted.contains("client: INSERT INTO t VALUES ($1)") && noted.contains("upstream: INSERT INTO"), "{noted}");
    // The credential clause is the client's own; below it is not repeated.
    assert_eq!(noted.matches("secret").count(), 1, "{noted}");
    Ok(())
}

#[tokio::test]
async fn sessions_tell_what_they_are() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    assert_eq!(value(&client, "SHOW server_version").await?, "8.0.2");
    assert_eq!(value(&client, "SELECT pg_last_copy_id()").await?, "-1");
    assert_eq!(value(&client, "SELECT current_user").await?, "loader");
    client.batch_execute("CREATE TABLE t (id INT)").await?;
    standin.put("1", "x\n")?;
    error(&client, &format!("COPY t FROM 's3://bucket/1' {LOAD}")).await?;
    assert_ne!(value(&client, "SELECT pg_last_copy_id()").await?, "-1");
    client.batch_execute("SET search_path TO s, public; SET TimeZone TO 'UTC'; SET query_group TO 'load'").await?;
    assert_eq!(value(&client, "SHOW search_path").await?, "s, public");
    client.batch_execute("BEGIN; SET search_path TO public; ROLLBACK").await?;
    assert_eq!(value(&client, "SHOW search_path").await?, "s, public");
    Ok(())
}

#[tokio::test]
async fn merge_updates_and_inserts_and_refuses_rows_matched_twice() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client
        .batch_execute(
            "CREATE TABLE t (id INT, a VARCHAR(9)); CREATE TABLE u (id INT, a VARCHAR(9)); \
             INSERT INTO t VALUES (1, 'old'); INSERT INTO u VALUES (1, 'new'), (2, 'more')",
        )
        .await?;
    let merge = "MERGE INTO t USING u AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET a = s.a \
                 WHEN NOT MATCHED THEN INSERT (id, a) VALUES (s.id, s.a)";
    client.batch_execute(merge).await?;
    assert_eq!(rows(&client, "SELECT id, a FROM t ORDER BY id").await?, [["1", "new"], ["2", "more"]]);
    client.batch_execute("INSERT INTO u VALUES (1, 'again')").await?;
    let told = error(&client, merge).await?;
    assert!(told.contains("Found multiple matches to update the same tuple"), "{told}");
    client.batch_execute("UPDATE t SET a = u.a FROM u WHERE t.id = u.id AND u.a = 'again'").await?;
    assert_eq!(value(&client, "SELECT a FROM t WHERE id = 1").await?, "again");
    Ok(())
}

#[tokio::test]
async fn what_depends_on_a_table_and_who_may_what_is_told() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client
        .batch_execute(
            "CREATE SCHEMA s; CREATE TABLE s.t (id INT); CREATE VIEW s.v AS SELECT id FROM s.t; \
             CREATE VIEW s.late AS SELECT id FROM s.t WITH NO SCHEMA BINDING; COMMENT ON TABLE s.t IS 'of orders'; \
             GRANT SELECT ON s.t TO other; GRANT USAGE ON SCHEMA s TO other",
        )
        .await?;
    let dependents = "SELECT DISTINCT v.relname FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid \
                      JOIN pg_class v ON v.oid = r.ev_class JOIN pg_class t ON t.oid = d.refobjid \
                      WHERE t.relname = 't' AND v.oid <> t.oid";
    assert_eq!(rows(&client, dependents).await?, [["v"]]);
    let rights = "SELECT relation_name, privilege_type FROM svv_relation_privileges WHERE identity_name = 'other' \
                  AND identity_type = 'user'";
    assert_eq!(rows(&client, rights).await?, [["t", "SELECT"]]);
    let rights =
        "SELECT privilege_type FROM svv_schema_privileges WHERE namespace_name = 's' AND identity_name = 'other'";
    assert_eq!(rows(&client, rights).await?, [["USAGE"]]);
    let comment = "SELECT description FROM pg_description d JOIN pg_class c ON c.oid = d.objoid WHERE d.objsubid = 0";
    assert_eq!(rows(&client, comment).await?, [["of orders"]]);
    Ok(())
}

#[tokio::test]
async fn who_asks_about_tables_does_not_wait_for_a_locked_one() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let (first, second) = (standin.connect().await?, standin.connect().await?);
    first
        .batch_execute(
            "CREATE TABLE t (id INT); INSERT INTO t VALUES (1); CREATE TABLE u (id INT); INSERT INTO u VALUES (1)",
        )
        .await?;
    first.batch_execute("BEGIN; LOCK t").await?;
    second.batch_execute("SET statement_timeout TO 20000").await?;
    let told = rows(&second, "SELECT tbl_rows FROM svv_table_info WHERE \"table\" = 'u'").await?;
    assert_eq!(told, [["1"]]);
    rows(&second, "SELECT \"table\" FROM svv_table_info").await?;
    Ok(())
}

#[tokio::test]
async fn a_statement_has_at_most_sixteen_megabytes() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    let told = error(&client, &format!("SELECT '{}'", "x".repeat(16 << 20))).await?;
    assert!(told.starts_with("54000 Statement is too large"), "{told}");
    Ok(())
}
