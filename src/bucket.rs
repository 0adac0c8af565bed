//! The S3 bucket between source and target: create-only writes, streams, listings, and errors told apart.

mod failure;
mod open;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::SharedCredentialsProvider;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::{get_object::GetObjectError, list_objects_v2::ListObjectsV2Error};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, ServerSideEncryption};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::time::Duration;

use self::failure::{Asked, Operation, classify, status};
use crate::config::{self, Encryption};
use crate::crash::{self, Step};
use crate::digest;
use crate::error::{Error, Kind, Result};

/// The object, under the prefix, by which `check` proves that create-only writes are honoured.
pub const PROBE: &str = "create-only.json";

/// How a create-only write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The object is ours, and new.
    New,
    /// An object was there: another's, or our own whose answer was lost.
    Exists,
}

/// A bucket, with the keys' prefix.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    credentials: Option<SharedCredentialsProvider>,
    name: String,
    prefix: String,
    /// The bucket for a message: its name, and where, if that is not Amazon.
    place: String,
    encryption: Encryption,
}

/// An object being read, in the chunks in which it comes.
#[derive(Debug)]
pub struct Body {
    stream: ByteStream,
    key: String,
    bucket: String,
}

/// A multipart upload that was begun and neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Key.
    pub key: String,
    /// The upload's id.
    pub id: String,
}

/// What the bucket has stored under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Bytes.
    pub bytes: u64,
    /// The store's entity tag.
    pub tag: Option<String>,
}

impl Bucket {
    /// A bucket reached by a client that was made elsewhere.
    pub fn with_client(client: Client, config: &config::Bucket) -> Self {
        let at = config.endpoint.as_ref().map_or(String::new(), |endpoint| format!(" at {endpoint}"));
        let place = format!("bucket '{}'{at}", config.name);
        let config::Bucket { name, prefix, encryption, .. } = config.clone();
        Self { client, credentials: None, name, prefix, place, encryption }
    }

    /// The same, which can tell the credentials that its client has.
    #[must_use]
    pub fn with_credentials(self, credentials: Option<SharedCredentialsProvider>) -> Self {
        Self { credentials, ..self }
    }

    /// Where its credentials come from, for those who must hand them on.
    pub fn credentials(&self) -> Option<&SharedCredentialsProvider> {
        self.credentials.as_ref()
    }

    /// The region it is in, as far as it is known.
    pub fn region(&self) -> Option<&str> {
        self.client.config().region().map(AsRef::as_ref)
    }

    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A key under the configured prefix.
    pub fn key(&self, path: &str) -> String {
        if self.prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", self.prefix) }
    }

    /// Creates the bucket if it is absent; `true` if it was.
    ///
    /// # Errors
    /// The bucket is another account's, or may not be seen or created.
    pub async fn ensure(&self) -> Result<bool> {
        // Not by HEAD, which asks for the right to list the whole bucket.
        let listed = self.client.list_objects_v2().bucket(&self.name).prefix(self.key("")).max_keys(1).send().await;
        match listed {
            Ok(_) => return Ok(false),
            Err(error) if error.as_service_error().is_some_and(ListObjectsV2Error::is_no_such_bucket) => {}
            Err(error) => return Err(self.error("cannot be read", &error)),
        }
        let mut request = self.client.create_bucket().bucket(&self.name);
        let region = self.client.config().region().map(ToString::to_string).unwrap_or_default();
        if region != "us-east-1" && !region.is_empty() {
            let place = aws_sdk_s3::types::BucketLocationConstraint::from(region.as_str());
            request = request.create_bucket_configuration(
                aws_sdk_s3::types::CreateBucketConfiguration::builder().location_constraint(place).build(),
            );
        }
        match request.send().await {
            Ok(_) => crash::after(Step::BucketCreated).map(|()| true),
            Err(error) if error.code() == Some("BucketAlreadyOwnedByYou") => Ok(false),
            Err(error) => Err(self.error("does not exist and cannot be created", &error)),
        }
    }

    /// Proves that a create-only write is refused where an object is: at [`PROBE`], which stays, so that nothing is
    /// left behind by a check that dies and no check removes what another just wrote.
    ///
    /// # Errors
    /// [`Kind::BucketOverwrites`] if it is not.
    pub async fn prove_create_only(&self) -> Result<()> {
        let key = self.key(PROBE);
        let says = Bytes::from_static(
            b"{\"about\": \"delsert check tries to overwrite this object, and must not be able to\"}",
        );
        self.create(&key, says.clone()).await?;
        crash::after(Step::ProbeWritten)?;
        if self.create(&key, says).await? == Created::New {
            let message = format!("bucket '{}' overwrites an object in spite of If-None-Match: *", self.name);
            return Err(Error::new(Kind::BucketOverwrites, message).advice(
                "Two workers could both believe that they wrote a batch. Use Amazon S3, or a server that honours conditional writes",
            ));
        }
        Ok(())
    }

    /// Writes an object only if its key is free. A 409 (a rival write in progress) is tried again.
    ///
    /// # Errors
    /// The write may or may not have happened.
    pub async fn create(&self, key: &str, body: Bytes) -> Result<Created> {
        for pause in [50, 200, 800, 2000, 0] {
            let request = self.client.put_object().bucket(&self.name).key(key).if_none_match("*");
            let request = request.content_type("application/json").body(ByteStream::from(body.clone()));
            let (algorithm, kms_key) = self.encrypted();
            let request = request.set_server_side_encryption(algorithm).set_ssekms_key_id(kms_key);
            let Err(error) = request.send().await else { return Ok(Created::New) };
            match (status(&error), error.code()) {
                (Some(412), _) | (_, Some("PreconditionFailed")) => return Ok(Created::Exists),
                (Some(409), _) => tokio::time::sleep(Duration::from_millis(pause)).await,
                _ => return Err(self.error(&format!("refuses '{key}'"), &error)),
            }
        }
        Err(Error::new(
            Kind::BucketUnreachable,
            format!("{} answers 409 to '{key}' again and again: others write it at the same time", self.place),
        )
        .advice("Try again"))
    }

    /// Reads a whole, small object; `None` if it is absent.
    ///
    /// # Errors
    /// The bucket does not answer or refuses.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let Some(mut body) = self.find(key).await? else { return Ok(None) };
        let mut bytes = bytes::BytesMut::new();
        while let Some(chunk) = body.next().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes.freeze()))
    }

    /// Begins to read an object; `None` if it is absent.
    ///
    /// # Errors
    /// The bucket does not answer or refuses.
    pub async fn find(&self, key: &str) -> Result<Option<Body>> {
        match self.client.get_object().bucket(&self.name).key(key).send().await {
            Ok(found) => Ok(Some(Body { stream: found.body, key: key.to_owned(), bucket: self.name.clone() })),
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => Ok(None),
            Err(error) if status(&error) == Some(403) && self.is_absent(key).await => Ok(None),
            Err(error) => Err(self.error(&format!("cannot give '{key}'"), &error)),
        }
    }

    /// Begins to read a part.
    ///
    /// # Errors
    /// [`Kind::PartDamaged`] if it is absent, else as [`Bucket::find`].
    pub async fn read(&self, key: &str) -> Result<Body> {
        self.find(key).await?.ok_or_else(|| {
            Error::new(Kind::PartDamaged, format!("part '{key}' is not in bucket '{}'", self.name))
                .advice("Something else removed it: check the bucket's lifecycle rules, then run 'delsert resync' for the table")
        })
    }

    /// Whether an object is what its SHA-256 says.
    ///
    /// # Errors
    /// As [`Bucket::read`].
    pub async fn verify(&self, key: &str, sha256: &str) -> Result<bool> {
        let (mut body, mut hash) = (self.read(key).await?, Sha256::new());
        while let Some(chunk) = body.next().await? {
            hash.update(&chunk);
        }
        Ok(digest::hex(hash.finalize()).eq_ignore_ascii_case(sha256))
    }

    /// What is stored under a key; `None` for nothing.
    ///
    /// # Errors
    /// The bucket does not answer or refuses.
    pub async fn head(&self, key: &str) -> Result<Option<Stored>> {
        match self.client.head_object().bucket(&self.name).key(key).send().await {
            Ok(found) => {
                let bytes = found.content_length().and_then(|length| length.try_into().ok()).unwrap_or(0);
                Ok(Some(Stored { bytes, tag: found.e_tag }))
            }
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) if status(&error) == Some(403) && self.is_absent(key).await => Ok(None),
            Err(error) => Err(self.error(&format!("cannot show '{key}'"), &error)),
        }
    }

    /// Whether a listing shows that nothing is there: a read of nothing is refused to credentials that may list below the
    /// prefix only.
    async fn is_absent(&self, key: &str) -> bool {
        let listed = self.client.list_objects_v2().bucket(&self.name).prefix(key).max_keys(1).send().await;
        listed.is_ok_and(|page| page.contents().first().is_none_or(|object| object.key() != Some(key)))
    }

    /// All keys under a path of the prefix, in order.
    ///
    /// # Errors
    /// The bucket does not answer or refuses.
    pub async fn list(&self, path: &str) -> Result<Vec<String>> {
        let mut pages = self.client.list_objects_v2().bucket(&self.name).prefix(self.key(path)).into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.error("cannot be listed", &error))?;
            keys.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
        }
        keys.sort_unstable();
        Ok(keys)
    }

    /// The names directly under a path of the prefix (which ends with a slash), up to their next slash.
    ///
    /// # Errors
    /// The bucket does not answer or refuses.
    pub async fn folders(&self, path: &str) -> Result<Vec<String>> {
        let prefix = self.key(path);
        let request = self.client.list_objects_v2().bucket(&self.name).prefix(&prefix).delimiter("/");
        let mut pages = request.into_paginator().send();
        let mut folders = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.error("cannot be listed", &error))?;
            let found = page.common_prefixes.unwrap_or_default().into_iter().filter_map(|common| common.prefix);
            folders
                .extend(found.filter_map(|found| Some(found.strip_prefix(&prefix)?.trim_end_matches('/').to_owned())));
        }
        Ok(folders)
    }

    /// All unfinished multipart uploads under a path of the prefix.
    ///
    /// # Errors
    /// The bucket does not answer or refuses.
    pub async fn uploads(&self, path: &str) -> Result<Vec<Upload>> {
        let (mut uploads, mut key_marker, mut id_marker) = (Vec::new(), None, None);
        loop {
            let page = self
                .client
                .list_multipart_uploads()
                .bucket(&self.name)
                .prefix(self.key(path))
                .set_key_marker(key_marker)
                .set_upload_id_marker(id_marker)
                .send()
                .await
                .map_err(|error| self.error("cannot list unfinished uploads", &error))?;
            let found = page.uploads.unwrap_or_default().into_iter();
            uploads.extend(found.filter_map(|upload| Some(Upload { key: upload.key?, id: upload.upload_id? })));
            if page.is_truncated != Some(true) {
                return Ok(uploads);
            }
            (key_marker, id_marker) = (page.next_key_marker, page.next_upload_id_marker);
        }
    }

    /// Removes objects; absent ones are no error.
    ///
    /// # Errors
    /// The bucket does not answer or refuses.
    pub async fn remove(&self, keys: &[String]) -> Result<()> {
        for key in keys {
            let removed = self.client.delete_object().bucket(&self.name).key(key).send().await;
            removed.map_err(|error| self.error(&format!("cannot remove '{key}'"), &error))?;
            crash::after(Step::ObjectRemoved)?;
        }
        Ok(())
    }

    /// Writes an object in one piece, and gives its tag.
    ///
    /// # Errors
    /// The write may or may not have happened.
    pub async fn put(&self, key: &str, body: Bytes) -> Result<Option<String>> {
        let (algorithm, kms_key) = self.encrypted();
        let request = self.client.put_object().bucket(&self.name).key(key).body(ByteStream::from(body));
        let put = request.set_server_side_encryption(algorithm).set_ssekms_key_id(kms_key).send().await;
        Ok(put.map_err(|error| self.error(&format!("refuses '{key}'"), &error))?.e_tag)
    }

    /// Begins a multipart upload.
    ///
    /// # Errors
    /// The bucket does not answer or refuses.
    pub async fn begin_upload(&self, key: &str) -> Result<Upload> {
        let (algorithm, kms_key) = self.encrypted();
        let request = self.client.create_multipart_upload().bucket(&self.name).key(key);
        let begun = request.set_server_side_encryption(algorithm).set_ssekms_key_id(kms_key).send().await;
        let begun = begun.map_err(|error| self.error(&format!("refuses an upload of '{key}'"), &error))?;
        let id = begun.upload_id.ok_or_else(|| {
            Error::new(Kind::BucketUnreachable, format!("bucket '{}' began an upload without naming it", self.name))
        })?;
        Ok(Upload { key: key.to_owned(), id })
    }

    /// Sends a piece (numbered from 1; all but the last at least 5 MiB), and gives what completing needs.
    ///
    /// # Errors
    /// The bucket does not answer or refuses.
    pub async fn upload_piece(&self, upload: &Upload, number: i32, body: Bytes) -> Result<CompletedPart> {
        let sent = self
            .client
            .upload_part()
            .bucket(&self.name)
            .key(&upload.key)
            .upload_id(&upload.id)
            .part_number(number)
            .body(ByteStream::from(body))
            .send()
            .await
            .map_err(|error| self.error(&format!("refuses piece {number} of '{}'", upload.key), &error))?;
        // Not its checksum, which the bucket has checked: of an upload begun without an algorithm, S3 then knows no such part.
        Ok(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build())
    }

    /// Completes an upload, and gives the object's tag.
    ///
    /// # Errors
    /// It may or may not have been completed.
    pub async fn complete_upload(&self, upload: &Upload, pieces: Vec<CompletedPart>) -> Result<Option<String>> {
        let pieces = CompletedMultipartUpload::builder().set_parts(Some(pieces)).build();
        let request = self.client.complete_multipart_upload().bucket(&self.name).key(&upload.key);
        let completed = request.upload_id(&upload.id).multipart_upload(pieces).send().await;
        Ok(completed.map_err(|error| self.error(&format!("cannot complete '{}'", upload.key), &error))?.e_tag)
    }

    /// Aborts an upload; one that is gone is no error.
    ///
    /// # Errors
    /// The bucket does not answer or refuses.
    pub async fn abort_upload(&self, upload: &Upload) -> Result<()> {
        let request = self.client.abort_multipart_upload().bucket(&self.name).key(&upload.key).upload_id(&upload.id);
        match request.send().await {
            Err(error) if status(&error) != Some(404) => {
                Err(self.error(&format!("cannot abort the upload of '{}'", upload.key), &error))
            }
            _ => crash::after(Step::UploadAborted),
        }
    }

    /// The encryption at rest that writes ask for, and the key.
    fn encrypted(&self) -> (Option<ServerSideEncryption>, Option<String>) {
        match &self.encryption {
            Encryption::Default => (None, None),
            Encryption::Aes256 => (Some(ServerSideEncryption::Aes256), None),
            Encryption::Kms(key) => (Some(ServerSideEncryption::AwsKms), key.clone()),
        }
    }

    fn error<E: Operation>(&self, what: &str, error: &SdkError<E>) -> Error {
        let below = if E::OF_OBJECTS { format!("/{}", self.key("*")) } else { String::new() };
        let asked = Asked {
            place: &self.place,
            region: self.client.config().region().map_or("", AsRef::as_ref),
            resource: format!("arn:aws:s3:::{}{below}", self.name),
        };
        classify(&asked, what, error)
    }
}

impl Body {
    /// The next chunk; `None` at the end.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        self.stream.try_next().await.map_err(|error| {
            let message = format!("bucket '{}' broke off in '{}', or sent it damaged", self.bucket, self.key);
            Error::new(Kind::BucketUnreachable, message).because(error).advice("Try again")
        })
    }
}
