//! The server against the AWS SDK.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier,
};
use tokio::net::TcpListener;

use super::checksum::{Algorithm, Sum};
use super::*;

async fn start() -> (Arc<Store>, Client, String) {
    let store = Store::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let keys = Keys::one("key", "secret").with("reader", "secret", Rights::Read).with("nobody", "secret", Rights::None);
    tokio::spawn(serve_with(listener, Arc::clone(&store), keys));
    let client = connect(&endpoint, "key", "secret", true);
    client.create_bucket().bucket("bucket").send().await.unwrap();
    (store, client, endpoint)
}

fn connect(endpoint: &str, key: &str, secret: &str, path_style: bool) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(key, secret, None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .force_path_style(path_style)
        .build();
    Client::from_conf(config)
}

fn failure<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    error.code().unwrap_or("no code").to_owned()
}

fn body(text: &'static str) -> ByteStream {
    ByteStream::from_static(text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_eight_racing_create_only_writes_one_wins() {
    let (store, client, _) = start().await;
    for round in 0..50 {
        let key = format!("round/{round}");
        let writes = (0..8).map(|writer| {
            let put = client.put_object().bucket("bucket").key(&key).if_none_match("*");
            let put = put.body(ByteStream::from(format!("writer {writer}").into_bytes())).send();
            tokio::spawn(async move { (writer, put.await) })
        });
        let mut winners = Vec::new();
        for write in writes.collect::<Vec<_>>() {
            match write.await.unwrap() {
                (number, Ok(_)) => winners.push(number),
                (_, Err(error)) => assert_eq!(failure(&error), "PreconditionFailed"),
            }
        }
        assert_eq!(winners.len(), 1, "round {round}");
        let kept = store.get("bucket", &key).unwrap().body;
        assert_eq!(kept, format!("writer {}", winners[0]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_written_read_by_range_copied_and_deleted() {
    let (store, client, _) = start().await;
    let key = format!("ž ö+%/{}", "k".repeat(900));
    let put = client.put_object().bucket("bucket").key(&key).body(body("0123456789")).content_type("text/csv");
    let put = put.metadata("rows", "10").send().await.unwrap();
    assert_eq!(put.e_tag(), Some("\"781e5e245d69b566979b86e28d23f2c7\""));
    let get = client.get_object().bucket("bucket").key(&key).range("bytes=3-5").send().await.unwrap();
    assert_eq!(get.content_range(), Some("bytes 3-5/10"));
    assert_eq!(get.content_type(), Some("text/csv"));
    assert_eq!(get.metadata().unwrap()["rows"], "10");
    assert_eq!(get.body.collect().await.unwrap().into_bytes(), "345");
    let source = "bucket/%C5%BE%20%C3%B6%2B%25/".to_owned() + &"k".repeat(900);
    client.copy_object().bucket("bucket").key("copy").copy_source(source).send().await.unwrap();
    let head = client.head_object().bucket("bucket").key("copy").send().await.unwrap();
    assert_eq!(head.content_length(), Some(10));
    let stale = client.get_object().bucket("bucket").key("copy").if_match("\"0\"").send().await.unwrap_err();
    assert_eq!(failure(&stale), "PreconditionFailed");
    client.delete_object().bucket("bucket").key("copy").send().await.unwrap();
    client.delete_object().bucket("bucket").key("copy").send().await.unwrap();
    assert_eq!(store.keys("bucket"), [key]);
    let gone = client.get_object().bucket("bucket").key("copy").send().await.unwrap_err();
    assert_eq!(failure(&gone), "NoSuchKey");
    assert!(
        client.head_object().bucket("bucket").key("copy").send().await.unwrap_err().into_service_error().is_not_found()
    );
    let long = client.put_object().bucket("bucket").key("k".repeat(1025)).body(body("x")).send().await.unwrap_err();
    assert_eq!(failure(&long), "KeyTooLongError");
    let full = client.delete_bucket().bucket("bucket").send().await.unwrap_err();
    assert_eq!(failure(&full), "BucketNotEmpty");
    let absent = client.put_object().bucket("absent").key("k").body(body("x")).send().await.unwrap_err();
    assert_eq!(failure(&absent), "NoSuchBucket");
    let twice = client.create_bucket().bucket("bucket").send().await.unwrap_err();
    assert_eq!(failure(&twice), "BucketAlreadyOwnedByYou");
}

#[tokio::test(flavor = "multi_thread")]
async fn if_match_replaces_only_what_was_seen() {
    let (_, client, _) = start().await;
    let put = || client.put_object().bucket("bucket").key("k");
    let first = put().body(body("one")).send().await.unwrap();
    let etag = first.e_tag().unwrap();
    put().body(body("two")).if_match(etag).send().await.unwrap();
    let stale = put().body(body("three")).if_match(etag).send().await.unwrap_err();
    assert_eq!(failure(&stale), "PreconditionFailed");
    let nothing = client.put_object().bucket("bucket").key("none").body(body("x")).if_match(etag).send().await;
    assert_eq!(failure(&nothing.unwrap_err()), "NoSuchKey");
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_come_in_pages_and_by_delimiter() {
    let (_, client, _) = start().await;
    for n in 0..1050 {
        let put = client.put_object().bucket("bucket").key(format!("a/{n:05}")).body(body("x"));
        put.send().await.unwrap();
    }
    client.put_object().bucket("bucket").key("b").body(body("x")).send().await.unwrap();
    let first = client.list_objects_v2().bucket("bucket").max_keys(5000).send().await.unwrap();
    assert_eq!((first.key_count(), first.is_truncated()), (Some(1000), Some(true)));
    let mut pages = client.list_objects_v2().bucket("bucket").prefix("a/").max_keys(400).into_paginator().send();
    let mut keys = BTreeSet::new();
    while let Some(page) = pages.next().await {
        for object in page.unwrap().contents() {
            assert!(keys.insert(object.key().unwrap().to_owned()), "twice");
        }
    }
    assert_eq!(keys.len(), 1050);
    let grouped = client.list_objects_v2().bucket("bucket").delimiter("/").send().await.unwrap();
    assert_eq!(grouped.common_prefixes()[0].prefix(), Some("a/"));
    assert_eq!(grouped.contents()[0].key(), Some("b"));
    let after = client.list_objects_v2().bucket("bucket").start_after("a/01048").send().await.unwrap();
    assert_eq!(after.key_count(), Some(2));
    let all: Vec<_> = keys.into_iter().map(|key| ObjectIdentifier::builder().key(key).build().unwrap()).collect();
    for chunk in all.chunks(1000) {
        let delete = Delete::builder().set_objects(Some(chunk.to_vec())).build().unwrap();
        let deleted = client.delete_objects().bucket("bucket").delete(delete).send().await.unwrap();
        assert_eq!(deleted.deleted().len(), chunk.len());
    }
    assert_eq!(client.list_objects_v2().bucket("bucket").send().await.unwrap().key_count(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_multipart_upload_becomes_an_object_once() {
    let (store, client, _) = start().await;
    let begin = || client.create_multipart_upload().bucket("bucket").key("big").send();
    let large = vec![7u8; upload::PART_MINIMUM];
    let mut tries = Vec::new();
    for _ in 0..2 {
        let id = begin().await.unwrap().upload_id().unwrap().to_owned();
        let mut parts = Vec::new();
        for (number, bytes) in [(1, large.clone()), (2, b"end".to_vec())] {
            let part = client.upload_part().bucket("bucket").key("big").upload_id(&id).part_number(number);
            let part = part.body(bytes.into()).send().await.unwrap();
            parts.push(CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).build());
        }
        tries.push((id, parts));
    }
    assert_eq!(store.uploads("bucket").len(), 2);
    let listed = client.list_parts().bucket("bucket").key("big").upload_id(&tries[0].0).send().await.unwrap();
    assert_eq!(listed.parts().len(), 2);
    let complete = |id: &str, parts: &[CompletedPart]| {
        let done = CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec())).build();
        let call = client.complete_multipart_upload().bucket("bucket").key("big").upload_id(id);
        call.multipart_upload(done).if_none_match("*").send()
    };
    let reversed: Vec<_> = tries[0].1.iter().rev().cloned().collect();
    assert_eq!(failure(&complete(&tries[0].0, &reversed).await.unwrap_err()), "InvalidPartOrder");
    // The upload was begun without an algorithm, so its parts have no checksum by which to name them.
    let summed = |part: &CompletedPart| {
        let sum = Sum::of(Algorithm::Crc32, if part.part_number() == Some(1) { &large } else { b"end" }).value;
        let named = CompletedPart::builder().set_part_number(part.part_number()).set_e_tag(part.e_tag.clone());
        named.checksum_crc32(sum).build()
    };
    let summed: Vec<_> = tries[0].1.iter().map(summed).collect();
    assert_eq!(failure(&complete(&tries[0].0, &summed).await.unwrap_err()), "InvalidPart");
    let won = complete(&tries[0].0, &tries[0].1).await.unwrap();
    assert!(won.e_tag().unwrap().ends_with("-2\""));
    let lost = complete(&tries[1].0, &tries[1].1).await.unwrap_err();
    assert_eq!(failure(&lost), "PreconditionFailed");
    let waiting = client.list_multipart_uploads().bucket("bucket").prefix("b").send().await.unwrap();
    assert_eq!(waiting.uploads()[0].upload_id(), Some(tries[1].0.as_str()));
    client.abort_multipart_upload().bucket("bucket").key("big").upload_id(&tries[1].0).send().await.unwrap();
    assert!(store.uploads("bucket").is_empty());
    let again = complete(&tries[1].0, &tries[1].1).await.unwrap_err();
    assert_eq!(failure(&again), "NoSuchUpload");
    let get = client.get_object().bucket("bucket").key("big").send().await.unwrap();
    assert_eq!(get.body.collect().await.unwrap().into_bytes().len(), upload::PART_MINIMUM + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn checksums_are_verified_and_returned() {
    let (_, client, _) = start().await;
    let put = |algorithm| {
        client.put_object().bucket("bucket").key("k").body(body("hello")).checksum_algorithm(algorithm).send()
    };
    for algorithm in [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32C, ChecksumAlgorithm::Sha256] {
        put(algorithm).await.unwrap();
    }
    let head = client.head_object().bucket("bucket").key("k").checksum_mode(ChecksumMode::Enabled).send();
    assert_eq!(head.await.unwrap().checksum_sha256(), Some("LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="));
    let wrong = client.put_object().bucket("bucket").key("w").body(body("hello")).checksum_crc32("AAAAAA==").send();
    assert_eq!(failure(&wrong.await.unwrap_err()), "BadDigest");
    let wrong = client.put_object().bucket("bucket").key("w").body(body("x")).content_md5("1B2M2Y8AsgTpgAmY7PhCfg==");
    assert_eq!(failure(&wrong.send().await.unwrap_err()), "BadDigest");
    assert!(client.head_object().bucket("bucket").key("w").send().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_have_the_rights_they_have() {
    let (_, client, endpoint) = start().await;
    client.put_object().bucket("bucket").key("k").body(body("x")).send().await.unwrap();
    let put = |key, secret| {
        connect(&endpoint, key, secret, true).put_object().bucket("bucket").key("k").body(body("y")).send()
    };
    assert_eq!(failure(&put("key", "wrong").await.unwrap_err()), "SignatureDoesNotMatch");
    assert_eq!(failure(&put("stranger", "secret").await.unwrap_err()), "InvalidAccessKeyId");
    assert_eq!(failure(&put("reader", "secret").await.unwrap_err()), "AccessDenied");
    assert_eq!(failure(&put("nobody", "secret").await.unwrap_err()), "AccessDenied");
    let get = |key| connect(&endpoint, key, "secret", true).get_object().bucket("bucket").key("k").send();
    assert!(get("reader").await.is_ok());
    assert_eq!(failure(&get("nobody").await.unwrap_err()), "AccessDenied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_may_stand_in_the_host_name() {
    let (_, client, endpoint) = start().await;
    client.put_object().bucket("bucket").key("k").body(body("x")).send().await.unwrap();
    let endpoint = endpoint.replace("127.0.0.1", "localhost");
    let virtual_style = connect(&endpoint, "key", "secret", false);
    // Names below localhost need not resolve here: then there is nothing to try.
    if tokio::net::lookup_host("bucket.localhost:80").await.is_ok() {
        let get = virtual_style.get_object().bucket("bucket").key("k").send().await.unwrap();
        assert_eq!(get.content_length(), Some(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_strike_before_and_after_the_work() {
    let (store, client, _) = start().await;
    let script = Arc::new(Script::default());
    store.set_faults(Some(script.clone()));
    let rule = |moment, fault| {
        script.add(Rule {
            operation: "PutObject".to_owned(),
            key_part: "manifest".to_owned(),
            moment,
            skip: 0,
            times: 1,
            fault,
        });
    };
    let put = || client.put_object().bucket("bucket").key("1/manifest.json").body(body("x")).if_none_match("*").send();
    rule(Moment::Before, Fault::Error { status: 409, code: "ConditionalRequestConflict".to_owned() });
    let conflict = put().await.unwrap_err();
    assert_eq!(failure(&conflict), "ConditionalRequestConflict");
    assert_eq!(conflict.raw_response().unwrap().status().as_u16(), 409);
    assert!(store.keys("bucket").is_empty());
    rule(Moment::After, Fault::Drop);
    assert!(matches!(put().await.unwrap_err(), SdkError::DispatchFailure(_)));
    assert_eq!(store.keys("bucket"), ["1/manifest.json"]);
    rule(Moment::Before, Fault::Delay(Duration::from_millis(50)));
    let started = std::time::Instant::now();
    assert_eq!(failure(&put().await.unwrap_err()), "PreconditionFailed");
    assert!(started.elapsed() >= Duration::from_millis(50));
    assert_eq!(script.left(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_allows_what_it_names_and_hides_what_is_absent_from_whoever_may_not_list() {
    let store = Store::new();
    store.create_bucket("bucket").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let policy = |condition: &str| {
        let text = format!(
            r#"{{"Version": "2012-10-17", "Statement": [
                {{"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::bucket/p/*"}},
                {{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::bucket"{condition}}}]}}"#
        );
        Rights::Policy(Arc::new(Policy::parse(&text).unwrap()))
    };
    let below = policy(r#", "Condition": {"StringLike": {"s3:prefix": "p/*"}}"#);
    let keys = Keys::one("key", "secret").with("below", "secret", below).with("all", "secret", policy(""));
    tokio::spawn(serve_with(listener, Arc::clone(&store), keys));
    let below = connect(&endpoint, "below", "secret", true);
    let all = connect(&endpoint, "all", "secret", true);

    let list = |prefix: &str| below.list_objects_v2().bucket("bucket").prefix(prefix).send();
    below.put_object().bucket("bucket").key("p/a").body(body("a")).send().await.unwrap();
    below.get_object().bucket("bucket").key("p/a").send().await.unwrap();
    let upload = below.create_multipart_upload().bucket("bucket").key("p/b").send().await.unwrap();
    assert_eq!(list("p/").await.unwrap().contents().len(), 1);
    assert_eq!(failure(&list("q/").await.unwrap_err()), "AccessDenied");
    assert_eq!(failure(&below.list_objects_v2().bucket("bucket").send().await.unwrap_err()), "AccessDenied");
    let outside = below.put_object().bucket("bucket").key("q/a").body(body("a")).send().await.unwrap_err();
    assert_eq!(failure(&outside), "AccessDenied");
    let delete = below.delete_object().bucket("bucket").key("p/a").send().await.unwrap_err();
    assert_eq!(failure(&delete), "AccessDenied");
    let abort = below.abort_multipart_upload().bucket("bucket").key("p/b");
    let abort = abort.upload_id(upload.upload_id.unwrap()).send().await.unwrap_err();
    assert_eq!(failure(&abort), "AccessDenied");
    let uploads = below.list_multipart_uploads().bucket("bucket").prefix("p/").send().await.unwrap_err();
    assert_eq!(failure(&uploads), "AccessDenied");

    let status = |error: &SdkError<_, aws_sdk_s3::config::http::HttpResponse>| {
        error.raw_response().map(|response| response.status().as_u16())
    };
    let absent = |client: &Client| client.head_object().bucket("bucket").key("p/absent").send();
    assert_eq!(status(&absent(&below).await.unwrap_err()), Some(403));
    assert_eq!(status(&absent(&all).await.unwrap_err()), Some(404));
    let absent = |client: &Client| client.get_object().bucket("bucket").key("p/absent").send();
    assert_eq!(failure(&absent(&below).await.unwrap_err()), "AccessDenied");
    assert_eq!(failure(&absent(&all).await.unwrap_err()), "NoSuchKey");
    below.head_bucket().bucket("bucket").send().await.unwrap_err();
    all.head_bucket().bucket("bucket").send().await.unwrap();
}

/// Spoils the next answers of an object, one after the other.
fn spoil(store: &Store, spoilt: impl IntoIterator<Item = Spoilt>) {
    let rule = |spoilt| Rule {
        operation: "GetObject".to_owned(),
        key_part: String::new(),
        moment: Moment::After,
        skip: 0,
        times: 1,
        fault: Fault::Body(spoilt),
    };
    store.set_faults(Some(Arc::new(Script::new(spoilt.into_iter().map(rule).collect()))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoilt_body_is_noticed_by_its_length_or_its_checksum() {
    let (store, client, _) = start().await;
    client.put_object().bucket("bucket").key("a").body(body("0123456789")).send().await.unwrap();
    spoil(&store, [Spoilt::Cut(4), Spoilt::Cut(0), Spoilt::Flipped(3), Spoilt::WrongSum, Spoilt::FlippedUnseen(3)]);
    for _ in 0..4 {
        let answer = client.get_object().bucket("bucket").key("a").send().await.unwrap();
        answer.body.collect().await.unwrap_err();
    }
    let answer = client.get_object().bucket("bucket").key("a").send().await.unwrap();
    assert_eq!(answer.body.collect().await.unwrap().into_bytes(), "0122456789");
    let answer = client.get_object().bucket("bucket").key("a").send().await.unwrap();
    assert_eq!(answer.body.collect().await.unwrap().into_bytes(), "0123456789");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_body_gives_its_beginning_and_then_nothing() {
    let (store, client, _) = start().await;
    client.put_object().bucket("bucket").key("a").body(body("0123456789")).send().await.unwrap();
    spoil(&store, [Spoilt::Stalled(4)]);
    let mut body = client.get_object().bucket("bucket").key("a").send().await.unwrap().body;
    assert_eq!(body.try_next().await.unwrap().unwrap(), "0123");
    tokio::time::timeout(Duration::from_millis(200), body.try_next()).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_has_no_more_entries_than_the_server_gives() {
    let (store, client, _) = start().await;
    for key in ["a", "b", "c", "d", "e"] {
        client.put_object().bucket("bucket").key(key).body(body("x")).send().await.unwrap();
        client.create_multipart_upload().bucket("bucket").key(key).send().await.unwrap();
    }
    store.set_page_limit(2);
    let page = client.list_objects_v2().bucket("bucket").send().await.unwrap();
    assert_eq!((page.contents().len(), page.is_truncated()), (2, Some(true)));
    let page = client.list_objects_v2().bucket("bucket").set_continuation_token(page.next_continuation_token);
    let page = page.send().await.unwrap();
    assert_eq!(page.contents().iter().filter_map(|object| object.key()).collect::<Vec<_>>(), ["c", "d"]);
    let uploads = client.list_multipart_uploads().bucket("bucket").send().await.unwrap();
    assert_eq!((uploads.uploads().len(), uploads.is_truncated()), (2, Some(true)));
}
