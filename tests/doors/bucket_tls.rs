//! TLS with the bucket: whom we talk to, and whom we refuse.

use standin::s3::Front;

use super::bucket::serve;
use super::certificate::{Authority, Identity};
use super::{REFUSED, stage_to_load};
use crate::messages::Wrong;
use crate::rules::stage::Stage;

async fn endpoint_showing(stage: &Stage, identity: &Identity) -> anyhow::Result<String> {
    let file = identity.write(stage.folder(), "bucket.pem")?;
    let port = serve(stage, Front::default().encrypted(&file)?).await?;
    Ok(format!("https://127.0.0.1:{port}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_the_bucket_is_trusted_or_refused_for_its_own_reason() -> anyhow::Result<()> {
    let mut stage = stage_to_load().await?;
    let (known, unknown, namesake) = (Authority::new("known")?, Authority::new("unknown")?, Authority::new("known")?);
    let usual = format!("endpoint = \"{}\"\n", stage.endpoint);
    let ca_file = known.write(stage.folder(), "ca.pem")?.display().to_string();
    let verifying = |endpoint: &str| format!("endpoint = \"{endpoint}\"\nca_file = \"{ca_file}\"\n");
    let wrong = Wrong { task: &["load"], ..REFUSED };

    let good = endpoint_showing(&stage, &known.identity(&["127.0.0.1"])?).await?;
    stage.configure(|text| text.replace(&usual, &verifying(&good)))?;
    stage.task(&["load"]).await?.expect(0)?;
    let (unverified, says) = (format!("endpoint = \"{good}\"\n"), ["bucket", "not trusted", "bucket.ca_file"]);
    let replace: &[(&str, &str)] = &[(&usual, &unverified)];
    Wrong { what: "bucket's authority unknown here", replace, says: &says, ..wrong }.expect(&mut stage).await?;

    for (what, identity, says) in [
        ("bucket's authority unknown here", unknown.identity(&["127.0.0.1"])?, &["not trusted", "bucket.ca_file"][..]),
        ("bucket's authority made anew", namesake.identity(&["127.0.0.1"])?, &["of the same name", "bucket.ca_file"]),
        ("bucket's certificate expired", known.expired(&["127.0.0.1"])?, &["expired on 2021-01-01", "renewed"]),
        (
            "bucket's certificate for another",
            known.identity(&["other.example"])?,
            &["for another name", "other.example", "bucket.endpoint", "path_style"],
        ),
    ] {
        let endpoint = endpoint_showing(&stage, &identity).await?;
        let to = verifying(&endpoint);
        let says: Vec<_> =
            ["bucket 'sync-machine-bucket'", &endpoint, "TLS fails"].iter().chain(says).copied().collect();
        Wrong { what, replace: &[(&usual, &to)], says: &says, ..wrong }.expect(&mut stage).await?;
    }
    let plain = verifying(&stage.endpoint.replace("http://", "https://"));
    let says = &["bucket 'sync-machine-bucket'", "does not speak TLS", "http://"];
    Wrong { what: "bucket without TLS", replace: &[(&usual, &plain)], says, ..wrong }.expect(&mut stage).await?;
    Ok(())
}
