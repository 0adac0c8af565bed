//! Doors of the bucket: regions, profiles, roles, encryption at rest.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use anyhow::{Context, ensure};
use bytes::Bytes;
use delsert::bucket::Bucket;
use delsert::config::Encryption;
use standin::s3::{Front, Keys, Misled, serve_behind};

use super::{REFUSED, filled_stage, stage_to_load};
use crate::messages::Wrong;
use crate::rules::stage::Stage;
use crate::support::bucket::{ACCESS_KEY, SECRET_KEY};
use crate::support::ground::BUCKET;

/// What a role lends.
const LENT: [&str; 3] = ["lent-access-key", "lent-secret-key", "lent/session+token=="];
const ROLE: &str = "arn:aws:iam::111122223333:role/delsert";
const EXTERNAL_ID: &str = "shop-1";

/// Serves a stage's bucket behind a front, and gives the port.
pub async fn serve(stage: &Stage, front: Front) -> anyhow::Result<u16> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let keys = Keys::one(ACCESS_KEY, SECRET_KEY).lent(LENT[0], LENT[1], LENT[2]);
    let store = Arc::clone(&stage.store);
    tokio::spawn(async move { serve_behind(listener, store, keys, front).await });
    Ok(port)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_in_another_region_is_named_with_it_or_found() -> anyhow::Result<()> {
    for misled in [Misled::Redirect, Misled::Malformed] {
        let mut stage = stage_to_load().await?;
        let port = serve(&stage, Front::default().in_region("eu-west-1", misled)).await?;
        let (usual, there) = (stage.endpoint.clone(), format!("http://127.0.0.1:{port}"));
        let says =
            &["bucket 'sync-machine-bucket'", "it is in region 'eu-west-1'", "Set bucket.region = \"eu-west-1\""];
        for task in ["load", "check"] {
            let what = format!("region, told to {task}");
            let mut replace = vec![(usual.as_str(), there.as_str())];
            if task == "check" {
                // The source is away, too; that alone would be a reason to try again.
                replace.push(("port = 1\n", "port = 1\nretries = 0\n"));
            }
            let code = if task == "check" { 75 } else { 3 };
            Wrong { what: &what, replace: &replace, says, task: &[task], code, ..REFUSED }.expect(&mut stage).await?;
        }
        for region in ["region = \"eu-west-1\"\n", ""] {
            stage.configure(|text| text.replace(&usual, &there).replace("region = \"us-east-1\"\n", region))?;
            stage.environment.retain(|(name, _)| !name.starts_with("AWS_REGION") && name != "AWS_DEFAULT_REGION");
            stage.task(&["load"]).await?.expect(0)?;
        }
        // What the chain says is asked first, and not believed against the bucket.
        stage.environment.push(("AWS_REGION".to_owned(), "ap-south-1".to_owned()));
        stage.task(&["load"]).await?.expect(0)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_from_a_profile() -> anyhow::Result<()> {
    let mut stage = stage_to_load().await?;
    let file = |stage: &Stage, name: &str| stage.folder().join(name).display().to_string();
    let lent = format!("{{\"Version\":1,\"AccessKeyId\":\"{ACCESS_KEY}\",\"SecretAccessKey\":\"{SECRET_KEY}\"}}");
    fs::write(file(&stage, "lent.json"), lent)?;
    let profiles = format!(
        "[profile lending]\ncredential_process = /bin/cat {}\n\n[profile keys]\naws_access_key_id = {ACCESS_KEY}\n\
         aws_secret_access_key = {SECRET_KEY}\n\n[profile broken]\ncredential_process = /bin/false\n",
        file(&stage, "lent.json")
    );
    fs::write(file(&stage, "profiles"), profiles)?;
    stage.environment.retain(|(name, _)| !name.starts_with("AWS_"));
    stage.environment.push(("AWS_CONFIG_FILE".to_owned(), file(&stage, "profiles")));
    stage.environment.push(("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned()));
    for profile in ["lending", "keys"] {
        stage.configure(|text| text.replace("[bucket]", &format!("[bucket]\nprofile = \"{profile}\"")))?;
        stage.task(&["load"]).await?.expect(0)?;
    }
    stage.environment.push(("AWS_PROFILE".to_owned(), "lending".to_owned()));
    stage.configure(|text| text)?;
    stage.task(&["load"]).await?.expect(0)?;
    for (what, profile, code) in
        [("profile that lends nothing", "broken", 75), ("profile that is not there", "absent", 3)]
    {
        let to = format!("[bucket]\nprofile = \"{profile}\"");
        let replace: &[(&str, &str)] = &[("[bucket]", &to)];
        Wrong { what, replace, says: &["bucket", "credential"], code, task: &["load"], ..REFUSED }
            .expect(&mut stage)
            .await?;
    }
    Ok(())
}

/// AWS's token service: lends to who names role and external id, signed by the usual key. Gives its port.
fn lender() -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else { return };
            let (mut request, mut chunk) = (String::new(), [0; 4096]);
            let is_whole = |request: &str| {
                let (head, body) = request.split_once("\r\n\r\n")?;
                let length =
                    head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                (body.len() >= length.unwrap_or(0)).then_some(())
            };
            while is_whole(&request).is_none() {
                match connection.read(&mut chunk) {
                    Ok(count) if count > 0 => request += &String::from_utf8_lossy(&chunk[..count]),
                    _ => break,
                }
            }
            let wanted = [
                "Action=AssumeRole",
                "RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fdelsert",
                "ExternalId=shop-1",
                "RoleSessionName=delsert",
            ];
            let signed =
                request.contains(&format!("Credential={ACCESS_KEY}/")) && request.contains("/sts/aws4_request");
            let (status, body) = if signed && wanted.iter().all(|word| request.contains(word)) {
                let [access, secret, session] = LENT;
                (
                    200,
                    format!(
                        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><AssumedRoleUser><Arn>arn:aws:sts::111122223333:assumed-role/delsert/delsert</Arn><AssumedRoleId>A:delsert</AssumedRoleId></AssumedRoleUser><Credentials><AccessKeyId>{access}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{session}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>"
                    ),
                )
            } else {
                (403, "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized to perform: sts:AssumeRole</Message></Error><RequestId>1</RequestId></ErrorResponse>".to_owned())
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} -\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    Ok(port)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_taken_on() -> anyhow::Result<()> {
    let mut stage = stage_to_load().await?;
    let port = serve(&stage, Front::default()).await?;
    let (usual, there) = (stage.endpoint.clone(), format!("http://127.0.0.1:{port}"));
    stage.environment.push(("AWS_ENDPOINT_URL_STS".to_owned(), format!("http://127.0.0.1:{}", lender()?)));
    let with = |id: &str| format!("[bucket]\nrole_arn = \"{ROLE}\"\nexternal_id = \"{id}\"");
    stage.configure(|text| text.replace(&usual, &there).replace("[bucket]", &with(EXTERNAL_ID)))?;
    stage.task(&["load"]).await?.expect(0)?;
    let other = with("another");
    let replace: &[(&str, &str)] = &[(&usual, &there), ("[bucket]", &other)];
    let says = &["bucket 'sync-machine-bucket'", "AccessDenied", "sts:AssumeRole"];
    Wrong { what: "role that is not lent", replace, says, task: &["load"], ..REFUSED }.expect(&mut stage).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_write_asks_for_the_encryption_that_is_configured() -> anyhow::Result<()> {
    let stage = filled_stage(&[]).await?;
    Box::pin(stage.sql()).await?.run("INSERT INTO dbo.Things VALUES (1, N'one')").await?;
    let kms = "[bucket]\nencryption = \"aws:kms\"\nkms_key = \"alias/delsert\"";
    stage.configure(|text| text.replace("[bucket]", kms))?;
    stage.task(&["check"]).await?.expect(0)?;
    stage.extract_and_load().await?;
    let expected = Some(("aws:kms".to_owned(), Some("alias/delsert".to_owned())));
    let keys = stage.keys();
    ensure!(keys.len() >= 4, "too few objects: {keys:?}");
    for key in keys {
        let object = stage.store.get(BUCKET, &key).map_err(|error| anyhow::anyhow!("{key}: {error}"))?;
        ensure!(object.attributes.encryption == expected, "{key}: {:?}", object.attributes.encryption);
    }

    for (encryption, expected) in [
        (Encryption::Aes256, Some(("AES256".to_owned(), None))),
        (Encryption::Kms(None), Some(("aws:kms".to_owned(), None))),
        (Encryption::Default, None),
    ] {
        let mut config = stage.parsed()?.bucket()?;
        config.encryption = encryption;
        let bucket = Bucket::with_client(stage.client(), &config);
        let upload = bucket.begin_upload("delsert/pieces").await?;
        let piece = bucket.upload_piece(&upload, 1, Bytes::from_static(b"piece")).await?;
        bucket.complete_upload(&upload, vec![piece]).await?;
        bucket.put("delsert/whole", Bytes::from_static(b"whole")).await?;
        for key in ["delsert/pieces", "delsert/whole"] {
            let object = stage.store.get(BUCKET, key).ok().context("it was written")?;
            ensure!(object.attributes.encryption == expected, "{key}: {:?}", object.attributes.encryption);
        }
    }
    Ok(())
}
