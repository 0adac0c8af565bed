//! COPY: what loads and how, and each load error.

use std::io::Write as _;

use standin::s3::{Front, Keys, Misled, serve_behind};
use tokio::net::TcpListener;

use crate::support::{LOAD, ROLE, Standin, error, rows, value};

#[tokio::test]
async fn files_below_a_prefix_are_loaded() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client.batch_execute("CREATE TABLE t (id INT NOT NULL, name VARCHAR(10), at TIMESTAMP)").await?;
    standin.put("in/part-1", "1,\"a\",2024-01-02 03:04:05.678901\n2,@null@,@null@\n")?;
    standin.put("in/part-10", "3,\"\",2024-01-02 00:00:00\n")?;
    client.batch_execute(&format!("COPY t FROM 's3://bucket/in/part-1' {LOAD}")).await?;
    assert_eq!(value(&client, "SELECT pg_last_copy_count()").await?, "3");
    let found = rows(&client, "SELECT id, name, at FROM t ORDER BY id").await?;
    assert_eq!(
        found,
        [["1", "a", "2024-01-02 03:04:05.678901"], ["2", "NULL", "NULL"], ["3", "", "2024-01-02 00:00:00"]]
    );
    let none = error(&client, &format!("COPY t FROM 's3://bucket/out/' {LOAD}")).await?;
    assert!(none.contains("The specified S3 prefix 'out/' does not exist"), "{none}");
    Ok(())
}

#[tokio::test]
async fn a_manifest_names_files() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client.batch_execute("CREATE TABLE t (id INT, name VARCHAR(100))").await?;
    standin.put("1.csv", "1,a\n")?;
    let load = |manifest: &str| format!("COPY t FROM 's3://bucket/{manifest}' {LOAD} MANIFEST");
    let entry = |key: &str, mandatory: &str| format!("{{\"url\":\"s3://bucket/{key}\"{mandatory}}}");
    let manifest = |entries: &[String]| format!("{{\"entries\":[{}]}}", entries.join(","));
    standin.put("twice.json", manifest(&[entry("1.csv", ""), entry("1.csv", "")]))?;
    client.batch_execute(&load("twice.json")).await?;
    assert_eq!(value(&client, "SELECT count(*) FROM t").await?, "2");
    standin.put("optional.json", manifest(&[entry("gone.csv", ""), entry("1.csv", "")]))?;
    client.batch_execute(&load("optional.json")).await?;
    assert_eq!(value(&client, "SELECT pg_last_copy_count()").await?, "1");
    standin.put("mandatory.json", manifest(&[entry("gone.csv", ",\"mandatory\":true")]))?;
    let missing = error(&client, &load("mandatory.json")).await?;
    assert!(missing.contains("1212"), "{missing}");
    standin.put("torn.json", "{\"entries\":[")?;
    let torn = error(&client, &load("torn.json")).await?;
    assert!(torn.contains("Manifest file is not in correct json format"), "{torn}");
    // Without the keyword the manifest is data.
    error(&client, &format!("COPY t FROM 's3://bucket/mandatory.json' {LOAD}")).await?;
    assert_eq!(value(&client, "SELECT error_code FROM sys_load_error_detail ORDER BY query_id DESC").await?, "1200");
    Ok(())
}

#[tokio::test]
async fn quoted_and_bare_fields_are_alike() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client.batch_execute("CREATE TABLE t (id INT, a VARCHAR(30), b INT)").await?;
    let text =
        "1,\"@null@\",\"@null@\"\n2,\"\",\"\"\r\n3,,\n4,\"\\N\",1\n5,\"a \"\"b\"\", \n\r\nc\\d\",2\n6,\" @null@\",3\n";
    standin.put("t", text)?;
    client.batch_execute(&format!("COPY t FROM 's3://bucket/t' {LOAD}")).await?;
    assert_eq!(
        rows(&client, "SELECT id, a, b FROM t ORDER BY id").await?,
        [
            ["1", "NULL", "NULL"],
            ["2", "", "NULL"],
            ["3", "", "NULL"],
            ["4", "\\N", "1"],
            ["5", "a \"b\", \n\r\nc\\d", "2"],
            ["6", " @null@", "3"],
        ]
    );
    client.batch_execute(&format!("TRUNCATE t; COPY t FROM 's3://bucket/t' {LOAD} EMPTYASNULL")).await?;
    assert_eq!(value(&client, "SELECT count(*) FROM t WHERE a IS NULL").await?, "3");
    let default = LOAD.replace("NULL AS '@null@'", "");
    standin.put("d", "1,\\N,\"\\N\"\n2,@null@,1\n3,\"  \",1\n")?;
    client.batch_execute(&format!("TRUNCATE t; COPY t FROM 's3://bucket/d' {default} BLANKSASNULL")).await?;
    let found = rows(&client, "SELECT id, a, b FROM t ORDER BY id").await?;
    assert_eq!(found, [["1", "NULL", "NULL"], ["2", "@null@", "1"], ["3", "NULL", "1"]]);
    Ok(())
}

#[tokio::test]
async fn options_do_what_they_say() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client
        .batch_execute("CREATE TABLE t (id INT, a VARCHAR(3), d DECIMAL(5,1), n INT NOT NULL DEFAULT 7, z TIMESTAMPTZ)")
        .await?;
    standin.put("1", "id,a,d,n,z\n\n1,'a|c',1.25,,1704164645\n2,\u{e9}\u{e9},-1.25,8,1704164645\n")?;
    let load = "IGNOREHEADER 1 IGNOREBLANKLINES QUOTE AS '''' TIMEFORMAT 'epochsecs' TRUNCATECOLUMNS";
    client.batch_execute(&format!("COPY t FROM 's3://bucket/1' {LOAD} {load}")).await?;
    assert_eq!(
        rows(&client, "SELECT id, a, d, n, z FROM t ORDER BY id").await?,
        [["1", "a|c", "1.2", "7", "2024-01-02 03:04:05+00"], ["2", "\u{e9}", "-1.2", "8", "2024-01-02 03:04:05+00"],]
    );
    client.batch_execute(&format!("DELETE FROM t; COPY t FROM 's3://bucket/1' {LOAD} {load} ROUNDEC")).await?;
    assert_eq!(rows(&client, "SELECT d FROM t ORDER BY id").await?, [["1.3"], ["-1.3"]]);
    standin.put("2", b"1;a\xffb;;;\n".to_vec())?;
    client
        .batch_execute(&format!("DELETE FROM t; COPY t FROM 's3://bucket/2' {LOAD} DELIMITER ';' ACCEPTINVCHARS '#'"))
        .await?;
    assert_eq!(value(&client, "SELECT a FROM t").await?, "a#b");
    standin.put("3", "1\n2,b\n3,much too long\n4,d\n")?;
    let load = format!("COPY t (id, a) FROM 's3://bucket/3' {LOAD} MAXERROR");
    client.batch_execute(&format!("DELETE FROM t; {load} 2")).await?;
    assert_eq!(rows(&client, "SELECT id, a, n FROM t ORDER BY id").await?, [["2", "b", "7"], ["4", "d", "7"]]);
    error(&client, &format!("{load} 1")).await?;
    client
        .batch_execute(&format!(
            "DELETE FROM t; COPY t (id, a) FROM 's3://bucket/3' {LOAD} FILLRECORD TRUNCATECOLUMNS NOLOAD"
        ))
        .await?;
    assert_eq!(value(&client, "SELECT count(*) FROM t").await?, "0");
    Ok(())
}

#[tokio::test]
async fn compressed_files_are_read() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client.batch_execute("CREATE TABLE t (id INT)").await?;
    standin.put("z", zstd::stream::encode_all(&b"1\n2\n"[..], 1)?)?;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"3\n")?;
    standin.put("g", gzip.finish()?)?;
    client
        .batch_execute(&format!("COPY t FROM 's3://bucket/z' {LOAD} ZSTD; COPY t FROM 's3://bucket/g' {LOAD} GZIP"))
        .await?;
    assert_eq!(value(&client, "SELECT sum(id) FROM t").await?, "6");
    let wrong = error(&client, &format!("COPY t FROM 's3://bucket/g' {LOAD} ZSTD")).await?;
    assert!(wrong.contains("cannot be decompressed"), "{wrong}");
    Ok(())
}

/// Column, field, code, and the column of the error.
const ERRORS: &[(&str, &[u8], &str)] = &[
    ("INT", b"\"a\"b", "1200"),
    ("INT", b"\"a", "1200"),
    ("INT", b"1,2", "1202"),
    ("INT, b INT", b"1", "1203"),
    ("VARCHAR(3)", b"abcd", "1204"),
    ("VARCHAR(3)", "\u{e9}\u{e9}".as_bytes(), "1204"),
    ("DECIMAL(5,2)", b"1234.5", "1204"),
    ("DECIMAL(19,4)", b"922337203685477.5808", "1204"),
    ("REAL", b"1e39", "1204"),
    ("DATE", b"2024-02-30", "1205"),
    ("DATE", b"02/03/2024", "1205"),
    ("TIMESTAMP", b"2024-01-01 25:00:00", "1206"),
    ("TIMESTAMP", b"2024-01-01 00:00:00.1234567", "1206"),
    ("TIMESTAMPTZ", b"2024-01-01 00:00:00+00", "1206"),
    ("TIME", b"24:00:00", "1206"),
    ("INT", b"1.0", "1207"),
    ("BIGINT", b"x", "1207"),
    ("DOUBLE PRECISION", b"1,5", "1202"),
    ("DOUBLE PRECISION", b"NaN", "1208"),
    ("DECIMAL(5,2)", b"1e2", "1209"),
    ("BOOLEAN", b"maybe", "1210"),
    ("INT", b"", "1211"),
    ("INT NOT NULL", b"@null@", "1213"),
    ("CHAR(3)", "\u{e9}".as_bytes(), "1215"),
    ("BIGINT IDENTITY(1,1)", b"@null@", "1217"),
    ("VARCHAR(9)", b"a\0b", "1218"),
    ("VARCHAR(9)", b"\xff", "1220"),
    ("VARCHAR(9)", b"\xed\xa0\x80", "1220"),
    ("SMALLINT", b"32768", "1222"),
    ("BIGINT", b"9223372036854775808", "1222"),
    ("VARBYTE(4)", b"0g", "1223"),
    ("VARBYTE(1)", b"0011", "1204"),
    ("SUPER", b"{", "1224"),
];

#[tokio::test]
async fn each_load_error_is_told_with_file_line_and_column() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    let mut wrong = Vec::new();
    for (place, (column, field, code)) in ERRORS.iter().enumerate() {
        let key = format!("bad/{place}.csv");
        standin.put(&key, [field, &b"\n"[..]].concat())?;
        client.batch_execute(&format!("BEGIN; CREATE TABLE t{place} (a {column})")).await?;
        let ids = if column.contains("IDENTITY") { " EXPLICIT_IDS" } else { "" };
        let told = error(&client, &format!("COPY t{place} FROM 's3://bucket/{key}' {LOAD}{ids}")).await?;
        let expected = format!(
            "XX000 Load into table 't{place}' failed.  Check 'sys_load_error_detail' system table for details. "
        );
        assert_eq!(told, expected);
        client.batch_execute("ROLLBACK").await?;
        let found = rows(
            &client,
            "SELECT trim(file_name), line_number, error_code FROM sys_load_error_detail WHERE query_id = pg_last_copy_id()",
        )
        .await?;
        if found != [[format!("s3://bucket/{key}"), "1".to_owned(), (*code).to_owned()]] {
            wrong.push(format!("{column} {}: {found:?}, not {code}", String::from_utf8_lossy(field)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    client.batch_execute("CREATE TABLE t (id INT, name VARCHAR(3))").await?;
    standin.put("late", "1,a\n2,\"b\nc\"\n3,abcdef\n")?;
    error(&client, &format!("COPY t FROM 's3://bucket/late' {LOAD}")).await?;
    let found = rows(
        &client,
        "SELECT line_number, trim(colname), trim(type), trim(col_length), trim(raw_line), trim(raw_field_value), err_code \
         FROM stl_load_errors WHERE query = pg_last_copy_id()",
    )
    .await?;
    assert_eq!(found, [["4", "name", "character", "3", "3,abcdef", "abcdef", "1204"]]);
    assert_eq!(value(&client, "SELECT octet_length(column_name) FROM sys_load_error_detail").await?, "127");
    let other = standin.connect_as("other").await?;
    assert_eq!(value(&other, "SELECT count(*) FROM sys_load_error_detail").await?, "0");
    Ok(())
}

#[tokio::test]
async fn a_row_has_at_most_four_megabytes() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    let columns: Vec<_> = (0..70).map(|number| format!("c{number} VARCHAR(65535)")).collect();
    client.batch_execute(&format!("CREATE TABLE t ({})", columns.join(", "))).await?;
    let row = vec!["x".repeat(60_000); 70].join(",");
    standin.put("wide", row)?;
    error(&client, &format!("COPY t FROM 's3://bucket/wide' {LOAD}")).await?;
    assert_eq!(value(&client, "SELECT error_code FROM sys_load_error_detail").await?, "8001");
    Ok(())
}

#[tokio::test]
async fn a_copy_is_part_of_its_transaction() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client.batch_execute("CREATE TABLE t (id INT)").await?;
    standin.put("1", "1\n2\n")?;
    client.batch_execute(&format!("BEGIN; COPY t FROM 's3://bucket/1' {LOAD}; ROLLBACK")).await?;
    assert_eq!(value(&client, "SELECT count(*) FROM t").await?, "0");
    assert_eq!(value(&client, "SELECT pg_last_copy_count()").await?, "2");
    Ok(())
}

#[tokio::test]
async fn keys_are_asked_of_s3() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client.batch_execute("CREATE TABLE t (id INT)").await?;
    standin.put("1", "1\n")?;
    let keys =
        |secret: &str| format!("COPY t FROM 's3://bucket/1' ACCESS_KEY_ID 'access' SECRET_ACCESS_KEY '{secret}' CSV");
    client.batch_execute(&keys("secret")).await?;
    let wrong = error(&client, &keys("wrong")).await?;
    assert!(wrong.contains("S3ServiceException") && wrong.contains("Status 403"), "{wrong}");
    assert!(!wrong.contains("wrong"), "{wrong}");
    let bucket = error(&client, &format!("COPY t FROM 's3://elsewhere/1' {LOAD}")).await?;
    assert!(bucket.contains("NoSuchBucket"), "{bucket}");
    Ok(())
}

#[tokio::test]
async fn a_bucket_elsewhere_needs_its_region() -> anyhow::Result<()> {
    for misled in [Misled::Redirect, Misled::Malformed] {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let standin = Standin::start_with(|mut settings| {
            settings.s3_endpoint = Some(endpoint);
            settings
        })
        .await?;
        let front = Front::default().in_region("eu-west-1", misled);
        tokio::spawn(serve_behind(listener, standin.store.clone(), Keys::one("access", "secret"), front));
        let client = standin.connect().await?;
        client.batch_execute("CREATE TABLE t (id INT)").await?;
        standin.put("1", "1\n")?;
        let told = error(&client, &format!("COPY t FROM 's3://bucket/1' {LOAD}")).await?;
        assert!(told.contains("different region from this cluster") && told.contains("REGION"), "{told}");
        client.batch_execute(&format!("COPY t FROM 's3://bucket/1' {LOAD} REGION 'eu-west-1'")).await?;
        assert_eq!(value(&client, "SELECT count(*) FROM t").await?, "1");
    }
    Ok(())
}

#[tokio::test]
async fn roles_may_be_chained_and_one_may_be_the_default() -> anyhow::Result<()> {
    let standin = Standin::start_with(|mut settings| {
        settings.roles.insert("arn:aws:iam::1:role/first".to_owned(), ("none".to_owned(), "none".to_owned()));
        settings.default_role = Some(ROLE.to_owned());
        settings
    })
    .await?;
    let client = standin.connect().await?;
    client.batch_execute("CREATE TABLE t (id INT)").await?;
    standin.put("1", "1\n")?;
    let copy = |role: &str| format!("COPY t FROM 's3://bucket/1' IAM_ROLE {role} CSV");
    client.batch_execute(&copy("default")).await?;
    client.batch_execute(&copy(&format!("'arn:aws:iam::1:role/first,{ROLE}'"))).await?;
    let told = error(&client, &copy("'arn:aws:iam::1:role/first'")).await?;
    assert!(told.contains("Status 403"), "{told}");
    let told = error(&client, &copy(&format!("'arn:aws:iam::1:role/unknown,{ROLE}'"))).await?;
    assert!(told.contains("is not authorized to assume IAM Role arn:aws:iam::1:role/unknown"), "{told}");
    Ok(())
}
