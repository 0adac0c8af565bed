//! What a loader does, whole.

use crate::support::{LOAD, Standin, error, rows, value};

#[tokio::test]
async fn a_batch_is_applied_by_delete_and_insert() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client
        .batch_execute(
            "CREATE SCHEMA IF NOT EXISTS shop;
             CREATE TABLE IF NOT EXISTS shop.orders (id INT NOT NULL, note VARCHAR(30) ENCODE zstd, price DECIMAL(20,4), \
                 stamp VARBYTE(8), doc SUPER, at TIMESTAMPTZ, flag BOOLEAN, PRIMARY KEY (id)) DISTKEY (id) SORTKEY (at);
             CREATE TABLE shop.stage (operation CHAR(1), LIKE shop.orders);
             CREATE TABLE shop.watermark (sync VARCHAR(100), sequence BIGINT)",
        )
        .await?;
    client.execute("INSERT INTO shop.watermark VALUES ($1, $2)", &[&"sync", &0_i64]).await?;
    standin.put("b/1.csv", "u,1,\"one\",12.3400,00ff,\"{\"\"a\"\": 1}\",2024-01-02 03:04:05+00,t\nd,2,@null@,@null@,@null@,@null@,@null@,@null@\n")?;
    standin.put("b/copy.json", r#"{"entries":[{"url":"s3://bucket/b/1.csv","mandatory":true}]}"#)?;
    client.batch_execute("INSERT INTO shop.orders (id, note) VALUES (1, 'old'), (2, 'gone'), (3, 'stays')").await?;
    client.batch_execute("BEGIN; LOCK shop.watermark; DELETE FROM shop.stage").await?;
    assert_eq!(value(&client, "SELECT sequence FROM shop.watermark").await?, "0");
    let copied = client
        .execute(
            &format!(
                "COPY shop.stage (operation, id, note, price, stamp, doc, at, flag) FROM 's3://bucket/b/copy.json' {LOAD} \
                 MANIFEST REGION AS 'us-east-1' TIMEFORMAT 'auto' COMPUPDATE OFF STATUPDATE OFF"
            ),
            &[],
        )
        .await?;
    assert_eq!(copied, 2);
    client
        .batch_execute(
            "DELETE FROM shop.orders USING shop.stage WHERE orders.id = stage.id;
             INSERT INTO shop.orders (id, note, price, stamp, doc, at, flag) \
                 SELECT id, note, price, stamp, doc, at, flag FROM shop.stage WHERE operation <> 'd'",
        )
        .await?;
    let changed =
        client.execute("UPDATE shop.watermark SET sequence = $1 WHERE sequence = $2", &[&1_i64, &0_i64]).await?;
    assert_eq!(changed, 1);
    client.batch_execute("COMMIT; ANALYZE shop.orders; VACUUM shop.orders TO 95 PERCENT").await.unwrap_err();
    client.batch_execute("ROLLBACK").await?;
    client.batch_execute("VACUUM FULL shop.orders TO 95 PERCENT").await?;
    let found = rows(&client, "SELECT id, note, price, stamp, at, flag FROM shop.orders ORDER BY id").await?;
    assert_eq!(
        found,
        [
            ["1", "one", "12.3400", "00ff", "2024-01-02 03:04:05+00", "t"],
            ["3", "stays", "NULL", "NULL", "NULL", "NULL"]
        ]
    );
    Ok(())
}

#[tokio::test]
async fn the_catalogue_tells_what_was_declared() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client
        .batch_execute(
            "CREATE SCHEMA Shop;
             CREATE TABLE shop.\"Orders\" (\"Id\" INT NOT NULL, note VARCHAR(30) ENCODE zstd, price DECIMAL(20,4), stamp VARBYTE(8), \
                 doc SUPER, at TIMESTAMP DEFAULT SYSDATE, code CHAR(3), more TEXT, PRIMARY KEY (id)) DISTKEY (id) SORTKEY (at, id)",
        )
        .await?;
    let columns = rows(
        &client,
        "SELECT column_name, data_type, encoding, distkey, sortkey, is_nullable FROM svv_redshift_columns \
         WHERE schema_name = 'shop' AND table_name = 'orders' ORDER BY ordinal_position",
    )
    .await?;
    assert_eq!(
        columns,
        [
            ["id", "integer", "none", "t", "2", "NO"],
            ["note", "character varying(30)", "zstd", "f", "0", "YES"],
            ["price", "numeric(20,4)", "none", "f", "0", "YES"],
            ["stamp", "binary varying(8)", "none", "f", "0", "YES"],
            ["doc", "super", "none", "f", "0", "YES"],
            ["at", "timestamp without time zone", "none", "f", "1", "YES"],
            ["code", "character(3)", "none", "f", "0", "YES"],
            ["more", "character varying(256)", "none", "f", "0", "YES"],
        ]
    );
    let types = rows(
        &client,
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'shop' AND c.relname = 'orders' AND a.attnum > 0 \
         AND NOT a.attisdropped ORDER BY a.attnum",
    )
    .await?;
    let told: Vec<_> = columns.iter().map(|row| [row[0].clone(), row[1].clone()]).collect();
    assert_eq!(types, told);
    assert_eq!(
        rows(
            &client,
            "SELECT column_name, data_type, character_maximum_length, numeric_precision, numeric_scale \
             FROM information_schema.columns WHERE table_name = 'orders' AND ordinal_position IN (2, 3)"
        )
        .await?,
        [["note", "character varying", "30", "NULL", "NULL"], ["price", "numeric", "NULL", "20", "4"]]
    );
    let keys =
        rows(&client, "SELECT contype, conkey FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid").await?;
    assert_eq!(keys, [["p", "{1}"]]);
    client.batch_execute("INSERT INTO shop.orders (id) VALUES (1), (1)").await?;
    let info = rows(&client, "SELECT \"table\", diststyle, sortkey1, tbl_rows FROM svv_table_info").await?;
    assert_eq!(info, [["orders", "KEY(id)", "at", "2"]]);
    assert_eq!(value(&client, "SELECT count(*) FROM stv_slices").await?, "2");
    assert_eq!(error(&client, "SELECT * FROM pg_proc").await?, "42P01 relation \"pg_proc\" does not exist ");
    assert!(value(&client, "SELECT version()").await?.contains("Redshift"));
    Ok(())
}
