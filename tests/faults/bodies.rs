//! Bytes that are cut short, stalled, flipped or refused on their way to or from the bucket.

use std::time::Duration;

use anyhow::{Context, ensure};
use standin::s3::{Fault, Moment, Rule, Spoilt};

use super::{
    ALWAYS, NEW, at, changed_shop, error, expect_mended, expect_told, expect_untouched, extracted_shop, spoil, timed,
};
use crate::rules::watched::WatchedShop;

/// Spoils the bodies of objects whose keys hold that text.
fn spoilt(key: &str, times: u32, how: Spoilt) -> Vec<Rule> {
    vec![at("GetObject", key, Moment::After, times, Fault::Body(how))]
}

/// The bytes of the one part.
fn part_length(shop: &WatchedShop) -> anyhow::Result<usize> {
    let manifests = shop.stage.keys_ending("/0000000002/manifest.json");
    ensure!(manifests.len() == 1, "not one batch is to come: {manifests:?}");
    Ok(usize::try_from(shop.stage.json(&manifests[0])?["parts"][0]["bytes"].as_u64().unwrap_or_default())?)
}

/// Whichever byte it is at which the connection breaks.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_cut_short_is_never_half_applied() -> anyhow::Result<()> {
    let mut shop = extracted_shop().await?;
    let length = part_length(&shop)?;
    for bytes in [0, 1, length / 2, length - 1] {
        let script = spoil(&shop, spoilt(".csv", 1, Spoilt::Cut(bytes)));
        let (outcome, _) = timed(&shop, &["load"], 75).await?;
        ensure!(script.left() == 0, "nothing was cut");
        expect_told(&outcome, &["dbo.Things", "broke off in", ".csv", "Try again"])?;
        expect_untouched(&shop).await?;
    }
    expect_mended(&mut shop, NEW).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_cut_short_is_taken_for_no_other_ledger() -> anyhow::Result<()> {
    let mut shop = extracted_shop().await?;
    // Something to extract, so that extract needs all of the ledger.
    shop.change("UPDATE dbo.Things SET Note = N'once more' WHERE ID = 1").await?;
    for (key, task) in [
        ("/0000000002/manifest.json", "load"),
        ("/0000000002/manifest.json", "extract"),
        ("/open.json", "load"),
        ("/open.json", "extract"),
        ("/open.json", "check"),
    ] {
        for how in [Spoilt::Cut(0), Spoilt::Cut(40), Spoilt::Flipped(40), Spoilt::WrongSum] {
            spoil(&shop, spoilt(key, ALWAYS, how));
            let ended = timed(&shop, &[task], 75).await;
            let (outcome, _) = ended.with_context(|| format!("{key} spoilt by {how:?}"))?;
            expect_told(&outcome, &["dbo.Things", key, "Try again"])?;
            expect_untouched(&shop).await?;
        }
    }
    expect_mended(&mut shop, &[(1, "once more"), (2, "changed"), (4, "four")]).await
}

/// The body comes to a halt, and the connection stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_stalls_is_given_up() -> anyhow::Result<()> {
    let mut shop = extracted_shop().await?;
    shop.stage.configure(|text| text.replace("[bucket]", "[bucket]\nrequest_timeout = \"1s\""))?;
    let length = part_length(&shop)?;
    spoil(&shop, spoilt(".csv", ALWAYS, Spoilt::Stalled(length / 2)));
    let (outcome, took) = timed(&shop, &["load"], 75).await?;
    expect_told(&outcome, &["dbo.Things", "broke off in", ".csv", "Try again"])?;
    eprintln!("load gave up on a stalled part after {took:?}");
    // The bound, a look once a second, and a process that starts.
    ensure!(took < Duration::from_secs(1 + 2 + 10), "load took {took:?} to give up");
    expect_untouched(&shop).await?;
    expect_mended(&mut shop, NEW).await
}

/// What came is not what was sent, and the checksum says so; or the checksum is what is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_does_not_fit_its_checksum_is_not_applied() -> anyhow::Result<()> {
    let mut shop = extracted_shop().await?;
    let length = part_length(&shop)?;
    for how in [Spoilt::WrongSum, Spoilt::Flipped(0), Spoilt::Flipped(length / 2), Spoilt::Flipped(length - 1)] {
        spoil(&shop, spoilt(".csv", ALWAYS, how));
        let (outcome, _) = timed(&shop, &["load"], 75).await?;
        expect_told(&outcome, &["dbo.Things", ".csv", "damaged", "checksum", "Try again"])?;
        expect_untouched(&shop).await?;
    }
    expect_mended(&mut shop, NEW).await
}

/// The same from a server that keeps no checksums: once, the second reading mends it; for ever, a person is needed.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_flipped_unseen_is_read_once_more_before_it_is_called_damaged() -> anyhow::Result<()> {
    for compression in ["zstd", "none"] {
        let mut shop = changed_shop().await?;
        shop.stage.configure(|text| text.replace("[bucket]", &format!("[bucket]\ncompression = \"{compression}\"")))?;
        shop.stage.task(&["extract"]).await?.expect(0)?;
        for at in [0, part_length(&shop)? / 2, part_length(&shop)? - 2] {
            spoil(&shop, spoilt(".csv", ALWAYS, Spoilt::FlippedUnseen(at)));
            let (outcome, _) = timed(&shop, &["load"], 3).await?;
            expect_told(&outcome, &["dbo.Things", ".csv", "not what was written", "Nothing was applied", "resync"])?;
            expect_untouched(&shop).await?;
        }
        let script = spoil(&shop, spoilt(".csv", 1, Spoilt::FlippedUnseen(3)));
        let load = shop.stage.task(&["load"]).await?.expect(0)?.summary()?;
        ensure!(script.left() == 0 && load.0["batches"] == 1, "{}", load.0);
        expect_mended(&mut shop, NEW).await?;
    }
    Ok(())
}

/// What was sent did not arrive as it was sent, as the bucket found by the checksum.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_refused_for_its_checksum_is_tried_again_later() -> anyhow::Result<()> {
    let mut shop = changed_shop().await?;
    for (key, code) in [(".csv", "BadDigest"), ("/manifest.json", "BadDigest"), (".csv", "IncompleteBody")] {
        spoil(&shop, vec![at("PutObject", key, Moment::Before, ALWAYS, error(400, code))]);
        let (outcome, _) = timed(&shop, &["extract"], 75).await?;
        expect_told(&outcome, &["dbo.Things", key, code, "Try again"])?;
        expect_untouched(&shop).await?;
    }
    expect_mended(&mut shop, NEW).await
}
