//! A batch is loaded with the types that it was written for, whatever is configured by then.

use anyhow::ensure;

use crate::rules::watched::WatchedShop;
use crate::support::source::SourceOptions;

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_loaded_with_the_types_that_it_was_written_for() -> anyhow::Result<()> {
    let mut shop = WatchedShop::on(SourceOptions::default()).await?;
    shop.sql
        .run(
            "CREATE TABLE dbo.Prices (Id int NOT NULL PRIMARY KEY, Price decimal(19,4) NULL, At datetime2(3) NULL);
             INSERT INTO dbo.Prices VALUES (1, 1.2399, '2024-01-01T23:59:59.999')",
        )
        .await?;
    let configure = |columns: &str| {
        let entry = format!("\n[[table]]\nname = \"dbo.Prices\"\ncolumns = {{ {columns} }}\n");
        shop.stage.configure(|text| text.replace("dbo.*", "dbo.Prices") + &entry)
    };
    let admin = shop.stage.target.connect_as_admin().await?;
    let rows = async || -> anyhow::Result<Vec<String>> {
        let query =
            "SELECT concat_ws('|', id, price, to_char(at, 'YYYY-MM-DD HH24:MI:SS.MS')) FROM dbo.prices ORDER BY id";
        Ok(admin.query(query, &[]).await?.iter().map(|row| row.get(0)).collect())
    };

    configure("Price = \"numeric(19,4)\"")?;
    shop.stage.task(&["check"]).await?.expect(0)?;
    shop.stage.task(&["extract"]).await?.expect(0)?;
    configure("Price = \"numeric(10,2)\", At = \"date\"")?;
    let load = shop.stage.task(&["load"]).await?.expect(0)?.summary()?;
    ensure!(rows().await? == ["1|1.2399|2024-01-01 23:59:59.999"], "{:?}", rows().await?);
    ensure!(load.table("dbo.Prices")?["losses"].as_object().is_none_or(serde_json::Map::is_empty));

    // What is written from now on fits what is configured by now, and says what that cost.
    configure("Price = \"numeric(10,2)\", At = \"timestamp(0)\"")?;
    shop.sql.run("INSERT INTO dbo.Prices VALUES (2, 1.2399, '2024-01-01T23:59:59.999')").await?;
    shop.sql.capture_all().await?;
    shop.stage.task(&["extract"]).await?.expect(0)?;
    configure("Id = \"bigint\"")?;
    let load = shop.stage.task(&["load"]).await?.expect(0)?.summary()?;
    let losses = &load.table("dbo.Prices")?["losses"];
    ensure!(*losses == serde_json::json!({"Price": {"digits": 1}, "At": {"digits": 1}}), "{losses}");
    let expected = ["1|1.2399|2024-01-01 23:59:59.999", "2|1.2300|2024-01-01 23:59:59.000"];
    ensure!(rows().await? == expected, "{:?}", rows().await?);
    Ok(())
}
