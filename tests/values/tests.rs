use super::{Options, run};

#[tokio::test(flavor = "multi_thread")]
async fn r9_every_value_arrives_as_it_must_and_every_loss_is_counted() -> anyhow::Result<()> {
    let tally = run(Options { values: 20_000, seed: 20_261_128 }).await?;
    assert_eq!(tally.differences, 0, "{tally}");
    // Every loss was there to be counted.
    for loss in ["digits", "offset", "nul", "surrogate", "length", "range"] {
        assert!(tally.losses.get(loss).is_some_and(|times| *times > 10), "{loss}: {tally}");
    }
    Ok(())
}
