//! COPY: rows that load as they should.

use crate::support::{LOAD, Standin, rows, value};

#[tokio::test]
async fn files_below_a_prefix_are_loaded() -> anyhow::Result<()> {
    let standin = Standin::start().await?;
    let client = standin.connect().await?;
    client.batch_execute("CREATE SCHEMA s; CREATE TABLE s.t (id INT NOT NULL, name VARCHAR(10), at TIMESTAMP)").await?;
    standin.put("in/part-1", "1,\"a\",2024-01-02 03:04:05.678901\n2,@null@,@null@\n")?;
    standin.put("in/part-10", "3,\"\",2024-01-02 00:00:00\n")?;
    client.batch_execute(&format!("COPY s.t FROM 's3://bucket/in/part-1' {LOAD}")).await?;
    assert_eq!(value(&client, "SELECT pg_last_copy_count()").await?, "3");
    let found = rows(&client, "SELECT id, name, at FROM s.t ORDER BY id").await?;
    assert_eq!(
        found,
        [["1", "a", "2024-01-02 03:04:05.678901"], ["2", "NULL", "NULL"], ["3", "", "2024-01-02 00:00:00"],]
    );
    Ok(())
}
