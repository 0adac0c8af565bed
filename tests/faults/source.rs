//! A source whose connection breaks in mid-stream or at the login.

use anyhow::{Context, ensure};
use serde_json::json;

use super::{NEW, changed_shop, expect_mended, expect_told, expect_untouched};
use crate::rules::watched::WatchedShop;
use crate::support::relay::Relay;
use crate::support::task::Outcome;

/// The one table's rows at first.
const FIRST: &[(i32, &str)] = super::OLD;

/// A relay before the source, which the configuration then names.
async fn relay(shop: &WatchedShop) -> anyhow::Result<Relay> {
    relay_with(shop, |text| text).await
}

/// The same, the configuration changed besides.
async fn relay_with(shop: &WatchedShop, change: impl FnOnce(String) -> String) -> anyhow::Result<Relay> {
    let port = shop.stage.source.as_ref().context("this stage has no source")?.port;
    let relay = Relay::start(port).await?;
    let (direct, relayed) = (format!("port = {port}\n"), format!("port = {}\n", relay.port));
    shop.stage.configure(|text| change(text.replace(&direct, &relayed)))?;
    Ok(relay)
}

/// Runs extract, whose connection breaks after so many bytes of the source's answers, and which ends with that code.
async fn cut_after(shop: &WatchedShop, relay: &Relay, bytes: usize, code: i32) -> anyhow::Result<Outcome> {
    relay.hold_after(bytes);
    let extract = shop.stage.start_task(&["extract"])?;
    relay.held().await?;
    relay.cut();
    relay.open();
    extract.outcome().await?.expect(code).with_context(|| format!("cut after {bytes} bytes"))
}

/// Fails unless one lost connection was mended, and of the attempt it broke nothing is left.
fn expect_reconnected(shop: &WatchedShop, outcome: &Outcome) -> anyhow::Result<()> {
    let summary = outcome.summary()?;
    ensure!(summary.0["retries"] == json!({ "connection": 1 }), "{}", summary.0);
    ensure!(summary.table("dbo.Things")?["retries"] == json!({ "connection": 1 }), "{}", summary.0);
    ensure!(outcome.stderr.contains("reading failed, trying again"), "{}", outcome.stderr);
    let named = shop
        .stage
        .keys_ending("/manifest.json")
        .iter()
        .map(|key| shop.stage.json(key))
        .collect::<Result<Vec<_>, _>>()?;
    let named: Vec<_> =
        named.iter().flat_map(|manifest| manifest["parts"].as_array().cloned().unwrap_or_default()).collect();
    let named: Vec<_> = named.iter().filter_map(|part| part["key"].as_str()).collect();
    let keys = shop.stage.keys();
    let stray: Vec<_> = keys.iter().filter(|key| key.contains(".csv") && !named.contains(&key.as_str())).collect();
    ensure!(stray.is_empty(), "parts of the attempt that broke are left: {stray:?}");
    Ok(())
}

/// Rows of some 600 kB.
fn many_rows() -> String {
    let rows: Vec<_> = (100..400).map(|id| format!("({id}, N'{id:x<1000}')")).collect();
    format!("INSERT INTO dbo.Things VALUES {}", rows.join(", "))
}

async fn expect_mended_with_many(shop: &mut WatchedShop) -> anyhow::Result<()> {
    let rows: Vec<_> = (100..400).map(|id| (id, format!("{id:x<1000}"))).collect();
    let rows: Vec<_> = FIRST.iter().copied().chain(rows.iter().map(|(id, note)| (*id, note.as_str()))).collect();
    expect_mended(shop, &rows).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_in_the_middle_of_a_snapshot_is_made_anew() -> anyhow::Result<()> {
    let mut shop = WatchedShop::unchecked().await?;
    shop.sql.run(&many_rows()).await?;
    shop.check().await?;
    let relay = relay(&shop).await?;
    let outcome = cut_after(&shop, &relay, 200_000, 0).await?;
    expect_reconnected(&shop, &outcome)?;
    ensure!(outcome.summary()?.upserts() == 303, "{}", outcome.stdout);
    expect_mended_with_many(&mut shop).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_in_the_middle_of_a_window_is_made_anew() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    shop.change(&many_rows()).await?;
    let relay = relay(&shop).await?;
    let outcome = cut_after(&shop, &relay, 200_000, 0).await?;
    expect_reconnected(&shop, &outcome)?;
    ensure!(outcome.summary()?.upserts() == 300, "{}", outcome.stdout);
    expect_mended_with_many(&mut shop).await
}

/// Where a task may not try again, the next one does.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_may_be_left_to_the_next_run() -> anyhow::Result<()> {
    let mut shop = WatchedShop::open().await?;
    shop.stage.extract_and_load().await?;
    shop.change(&many_rows()).await?;
    let relay = relay_with(&shop, |text| text.replace("[source]", "[source]\nretries = 0")).await?;
    for bytes in [100_000, 300_000] {
        let outcome = cut_after(&shop, &relay, bytes, 75).await?;
        expect_told(&outcome, &["SQL Server 127.0.0.1:", "ry again"])?;
        ensure!(!shop.stage.keys().iter().any(|key| key.contains(".csv")), "parts are left: {:?}", shop.stage.keys());
        ensure!(shop.stage.keys_ending("/manifest.json").len() == 1, "half a window became a batch");
        expect_untouched(&shop).await?;
    }
    expect_mended_with_many(&mut shop).await
}

/// At any byte of the greeting, the TLS handshake and the login: that is an outage, and no fault of certificates.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_at_the_login_is_an_outage() -> anyhow::Result<()> {
    let mut shop = changed_shop().await?;
    let relay = relay(&shop).await?;
    for bytes in [0, 1, 20, 60, 500, 1000] {
        let outcome = cut_after(&shop, &relay, bytes, 75).await?;
        expect_told(&outcome, &["SQL Server 127.0.0.1:", "ry again"])?;
        expect_untouched(&shop).await?;
    }
    expect_mended(&mut shop, NEW).await
}
