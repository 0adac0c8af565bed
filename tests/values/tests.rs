use delsert::config::Engine;

use super::{Options, run};
use crate::support::ground::Ground;
use crate::support::source::SourceOptions;

#[tokio::test(flavor = "multi_thread")]
async fn r9_every_value_arrives_as_it_must_and_every_loss_is_counted() -> anyhow::Result<()> {
    every_value_arrives(Options { values: 20_000, seed: 20_261_128, engine: Engine::Postgres }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn r9_every_value_arrives_as_it_must_at_redshift_too() -> anyhow::Result<()> {
    every_value_arrives(Options { values: 5_000, seed: 20_261_128, engine: Engine::Redshift }).await
}

async fn every_value_arrives(options: Options) -> anyhow::Result<()> {
    let tally = run(options).await?;
    assert_eq!(tally.differences, 0, "{tally}");
    // Every loss was there to be counted.
    for loss in ["digits", "offset", "nul", "surrogate", "length", "range"] {
        assert!(tally.losses.get(loss).is_some_and(|times| *times > 10), "{loss}: {tally}");
    }
    Ok(())
}

/// A column for each loss: its type, a value that suffers it, the remedy, and the target's type, if it is configured.
const LOSSES: &[(&str, &str, &str, &str, Option<&str>)] = &[
    ("digits", "datetime2(7)", "'2024-01-02T03:04:05.1234567'", "truncate", None),
    ("offset", "datetimeoffset(0)", "'2024-01-02 03:04:05 +02:00'", "utc", None),
    ("nul", "nvarchar(10)", "N'a' + NCHAR(0)", "replace", None),
    ("surrogate", "nvarchar(10)", "CAST(0x3DD8 AS nvarchar(10))", "replace", None),
    ("length", "nvarchar(10)", "N'long'", "truncate", Some("varchar(3)")),
    ("range", "int", "40000", "null", Some("smallint")),
];

#[tokio::test(flavor = "multi_thread")]
async fn r9_each_loss_stops_the_table_until_the_configuration_takes_it_for_the_column() -> anyhow::Result<()> {
    let ground = Ground::start(SourceOptions::default(), &["dbo.*"]).await?;
    let mut sql = ground.source.connect().await?;
    let columns: Vec<_> = LOSSES.iter().map(|(loss, sql_type, ..)| format!("[{loss} A] {sql_type} NULL")).collect();
    let values: Vec<_> = LOSSES.iter().map(|(_, _, value, ..)| *value).collect();
    sql.run(&format!("CREATE TABLE dbo.Lossy (id int NOT NULL PRIMARY KEY, {})", columns.join(", "))).await?;
    sql.run(&format!("INSERT INTO dbo.Lossy VALUES (1, {})", values.join(", "))).await?;
    let strict: Vec<_> = LOSSES.iter().map(|(loss, ..)| format!("{loss} = \"fail\"")).collect();
    let strict = strict.join("\n");
    let types: Vec<_> =
        LOSSES.iter().filter_map(|(loss, .., to)| Some(format!("\"{loss} A\" = \"{}\"", (*to)?))).collect();
    // Each column's policy takes its own loss; of one of them it takes all others instead.
    let configure = |but: Option<&str>| {
        let policy = |(loss, _, _, remedy, _): &(&str, &str, &str, &str, Option<&str>)| {
            let own = format!("{loss} = \"{remedy}\"");
            let others = LOSSES.iter().filter(|(other, ..)| other != loss);
            let others: Vec<_> = others.map(|(other, _, _, remedy, _)| format!("{other} = \"{remedy}\"")).collect();
            format!("\"{loss} a\" = {{ {} }}", if but == Some(loss) { others.join(", ") } else { own })
        };
        let policies: Vec<_> = LOSSES.iter().map(policy).collect();
        let table = format!("columns = {{ {} }}\nvalues = {{ {} }}", types.join(", "), policies.join(", "));
        let config = ground.config(&["dbo.*"]);
        ground.write_config(&format!("{config}\n[values]\n{strict}\n[[table]]\nname = \"dbo.Lossy\"\n{table}\n"))
    };
    configure(None)?;
    ground.task(&["check"]).await?.expect(0)?;
    for (loss, _, _, remedy, _) in LOSSES {
        configure(Some(loss))?;
        let failed = ground.task(&["extract"]).await?.expect(3)?.summary()?;
        let table = failed.table("dbo.Lossy")?;
        let error = table["error"].as_str().unwrap_or_default();
        assert_eq!(table["error_kind"], "Value", "{error}");
        let says =
            [format!("column '{loss} A' holds"), format!("values = {{ \"{loss} A\" = {{ {loss} = \"{remedy}\" }} }}")];
        assert!(says.iter().all(|says| error.contains(says)), "{loss}: {error}");
    }
    configure(None)?;
    let (extract, load) = ground.sync().await?;
    for summary in [extract, load] {
        let counted = &summary.table("dbo.Lossy")?["losses"];
        for (loss, ..) in LOSSES {
            assert_eq!(counted[format!("{loss} A")], serde_json::json!({ *loss: 1 }), "{counted}");
        }
    }
    let manifests = ground.bucket().keys_ending("manifest.json").await?;
    let [manifest] = &manifests[..] else { anyhow::bail!("not one manifest") };
    let manifest = ground.bucket().json(manifest).await?;
    assert_eq!(manifest["losses"]["range A"], serde_json::json!({ "range": 1 }), "{manifest}");
    let target = ground.target.connect().await?;
    let row = target.query_one(
        "SELECT to_char(\"digits a\", 'YYYY-MM-DD HH24:MI:SS.US'), \"offset a\" = '2024-01-02 01:04:05+00', \"nul a\", \"surrogate a\", \"length a\", \"range a\" FROM dbo.lossy",
        &[],
    );
    let row = row.await?;
    assert_eq!(row.get::<_, &str>(0), "2024-01-02 03:04:05.123456");
    assert!(row.get::<_, bool>(1));
    assert_eq!([2, 3, 4].map(|at| row.get::<_, &str>(at)), ["a\u{fffd}", "\u{fffd}", "lon"]);
    assert_eq!(row.get::<_, Option<i16>>(5), None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_would_change_values_without_a_word_is_refused_by_check() -> anyhow::Result<()> {
    let ground = Ground::start(SourceOptions::default(), &["dbo.*"]).await?;
    let mut sql = ground.source.connect().await?;
    sql.run("CREATE TABLE dbo.Things (id int NOT NULL PRIMARY KEY, Price float NULL, At datetime2(3) NULL)").await?;
    for (columns, says) in [
        ("Price = \"numeric(10,2)\"", "column 'Price' (float) cannot be a numeric(10,2)"),
        ("At = \"time\"", "column 'At' (datetime2(3)) cannot be a time"),
    ] {
        let table = format!("\n[[table]]\nname = \"dbo.Things\"\ncolumns = {{ {columns} }}\n");
        ground.write_config(&format!("{}{table}", ground.config(&["dbo.*"])))?;
        let check = ground.task(&["check"]).await?.summary()?;
        let error = check.table("dbo.Things")?["error"].to_string();
        assert!(error.contains(says), "{error}");
    }
    Ok(())
}
