//! The S3 stand-in, and a look into its bucket.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Error;
use aws_sdk_s3::primitives::ByteStream;

use super::program;
use super::server::{Launch, Leash, Server};

/// The access key.
pub const ACCESS_KEY: &str = "test-access-key";
/// The secret key.
pub const SECRET_KEY: &str = "test-secret-key";

/// A running S3 stand-in.
pub struct S3 {
    /// Its port on 127.0.0.1.
    pub port: u16,
    server: Server,
}

impl S3 {
    /// Starts one; its messages go into that folder.
    pub fn start(folder: &Path, leash: &Leash) -> anyhow::Result<Self> {
        Self::start_with(folder, leash, &[])
    }

    /// Starts one with more arguments.
    pub fn start_with(folder: &Path, leash: &Leash, more: &[&str]) -> anyhow::Result<Self> {
        let standin = program("standin")?;
        let mut command = vec![standin.as_os_str()];
        let arguments = ["s3", "--listen", "127.0.0.1:0", "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY];
        command.extend(arguments.iter().chain(more).map(AsRef::<std::ffi::OsStr>::as_ref));
        let log = &folder.join("s3.log");
        let launch = Launch { command, user: None, log, end_signal: "KILL", leash: leash.clone(), folder: None };
        let mut server = Server::start(&launch)?;
        let ready = server.wait_for("ready 127.0.0.1:")?;
        Ok(Self { port: ready.parse().context("the S3 stand-in's port")?, server })
    }

    /// Where it serves.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it wrote so far.
    pub fn messages(&self) -> String {
        self.server.messages()
    }

    /// A bucket in it.
    pub fn bucket(&self, name: &str) -> Bucket {
        Bucket::at(&self.endpoint(), name)
    }
}

/// A bucket, looked at from outside.
#[derive(Clone)]
pub struct Bucket {
    client: Client,
    name: String,
}

impl Bucket {
    /// A bucket served at an endpoint.
    pub fn at(endpoint: &str, name: &str) -> Self {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
            .region(Region::new("us-east-1"))
            .endpoint_url(endpoint)
            .force_path_style(true)
            .build();
        Self { client: Client::from_conf(config), name: name.to_owned() }
    }

    /// All keys, in order; none if the bucket does not exist.
    pub async fn keys(&self) -> anyhow::Result<Vec<String>> {
        let mut keys = Vec::new();
        let mut pages = self.client.list_objects_v2().bucket(&self.name).into_paginator().send();
        while let Some(page) = pages.next().await {
            match page {
                Ok(page) => keys.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned))),
                Err(error) if error.as_service_error().is_some_and(ListObjectsV2Error::is_no_such_bucket) => break,
                Err(error) => return Err(error).context("cannot list the bucket"),
            }
        }
        Ok(keys)
    }

    /// Each object's entity tag and time of writing, by key.
    pub async fn written(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let mut written = BTreeMap::new();
        for key in self.keys().await? {
            let head = self.client.head_object().bucket(&self.name).key(&key).send().await;
            let head = head.with_context(|| format!("cannot look at {key}"))?;
            written.insert(key, format!("{:?} {:?}", head.e_tag(), head.last_modified()));
        }
        Ok(written)
    }

    /// All keys that end so, in order.
    pub async fn keys_ending(&self, ending: &str) -> anyhow::Result<Vec<String>> {
        Ok(self.keys().await?.into_iter().filter(|key| key.ends_with(ending)).collect())
    }

    /// An object's bytes.
    pub async fn get(&self, key: &str) -> anyhow::Result<Vec<u8>> {
        let answer = self.client.get_object().bucket(&self.name).key(key).send().await;
        let body = answer.with_context(|| format!("cannot read {key}"))?.body;
        Ok(body.collect().await?.to_vec())
    }

    /// A JSON object.
    pub async fn json(&self, key: &str) -> anyhow::Result<serde_json::Value> {
        Ok(serde_json::from_slice(&self.get(key).await?)?)
    }

    /// The keys of all multipart uploads that were begun and not ended.
    pub async fn uploads(&self) -> anyhow::Result<Vec<String>> {
        let (mut keys, mut key_marker, mut id_marker) = (Vec::new(), None, None);
        loop {
            let page = self.client.list_multipart_uploads().bucket(&self.name);
            let page = page.set_key_marker(key_marker).set_upload_id_marker(id_marker).send().await?;
            keys.extend(page.uploads().iter().filter_map(|upload| upload.key().map(str::to_owned)));
            if page.is_truncated() != Some(true) {
                return Ok(keys);
            }
            (key_marker, id_marker) = (page.next_key_marker, page.next_upload_id_marker);
        }
    }

    /// Begins a multipart upload, and leaves it.
    pub async fn begin_upload(&self, key: &str) -> anyhow::Result<()> {
        self.client.create_multipart_upload().bucket(&self.name).key(key).send().await?;
        Ok(())
    }

    /// Writes an object, whatever is there.
    pub async fn put(&self, key: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
        let body = ByteStream::from(bytes);
        self.client.put_object().bucket(&self.name).key(key).body(body).send().await?;
        Ok(())
    }

    /// Removes an object.
    pub async fn delete(&self, key: &str) -> anyhow::Result<()> {
        self.client.delete_object().bucket(&self.name).key(key).send().await?;
        Ok(())
    }
}
