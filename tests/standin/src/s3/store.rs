//! Buckets and objects in memory, under one lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use s3s::dto::ETagCondition;
use s3s::{S3Result, s3_error};

use super::checksum::{Sum, md5_hex};
use super::fault::{Fault, Faults, Operation};
use super::upload::Upload;

/// The most entries that S3 gives in a page of a listing.
const PAGE_LIMIT: i32 = 1000;

/// What is kept with an object beside its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`, without `aws-chunked`.
    pub content_encoding: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `x-amz-meta-*`.
    pub metadata: Option<s3s::dto::Metadata>,
    /// Encryption at rest that was asked for, and the key.
    pub encryption: Option<(String, Option<String>)>,
}

/// An object.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its bytes.
    pub body: Bytes,
    /// `ETag` without quotes.
    pub etag: String,
    /// When it was written.
    pub modified: SystemTime,
    /// Its checksum.
    pub sum: Sum,
    /// The rest.
    pub attributes: Attributes,
}

impl Object {
    /// An object written in one piece.
    pub fn new(body: Bytes, sum: Sum, attributes: Attributes) -> Self {
        let etag = md5_hex(&body);
        Self { body, etag, modified: SystemTime::now(), sum, attributes }
    }
}

/// Conditions of a write.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    /// `If-Match`.
    pub if_match: Option<ETagCondition>,
    /// `If-None-Match`.
    pub if_none_match: Option<ETagCondition>,
}

impl Conditions {
    /// Holds them against what stands at the key.
    ///
    /// # Errors
    /// 412 `PreconditionFailed`; 404 `NoSuchKey` for `If-Match` on nothing.
    pub fn check(&self, present: Option<&Object>) -> S3Result<()> {
        let failed = || s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold");
        let equals = |condition: &ETagCondition, object: &Object| {
            condition.as_etag().is_none_or(|etag| etag.value() == object.etag)
        };
        if let Some(condition) = &self.if_match {
            let object = present.ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))?;
            if !equals(condition, object) {
                return Err(failed());
            }
        }
        match (&self.if_none_match, present) {
            (Some(condition), Some(object)) if equals(condition, object) => Err(failed()),
            _ => Ok(()),
        }
    }
}

/// A bucket.
#[derive(Debug)]
pub struct Bucket {
    /// When it was created.
    pub created: SystemTime,
    /// Objects by key.
    pub objects: BTreeMap<String, Object>,
    /// Multipart uploads begun and not ended, by key and id.
    pub uploads: BTreeMap<(String, String), Upload>,
}

/// The server's state, shared with tests.
pub struct Store {
    buckets: Mutex<BTreeMap<String, Bucket>>,
    faults: RwLock<Option<Arc<dyn Faults>>>,
    page_limit: AtomicI32,
}

impl Default for Store {
    fn default() -> Self {
        Self { buckets: Mutex::default(), faults: RwLock::default(), page_limit: AtomicI32::new(PAGE_LIMIT) }
    }
}

impl Store {
    /// An empty store.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// From now on these faults happen.
    pub fn set_faults(&self, faults: Option<Arc<dyn Faults>>) {
        *self.faults.write() = faults;
    }

    /// From now on no page of a listing has more entries, so that a few keys make many pages.
    pub fn set_page_limit(&self, entries: i32) {
        self.page_limit.store(entries.clamp(1, PAGE_LIMIT), Ordering::Relaxed);
    }

    /// The most entries that a page of a listing has.
    pub(super) fn page_limit(&self) -> i32 {
        self.page_limit.load(Ordering::Relaxed)
    }

    /// The fault to happen before or after an operation.
    pub(super) fn fault(&self, operation: &Operation<'_>, done: bool) -> Fault {
        let faults = self.faults.read().clone();
        faults.map_or(Fault::None, |faults| if done { faults.after(operation) } else { faults.before(operation) })
    }

    /// Creates a bucket.
    ///
    /// # Errors
    /// 409 `BucketAlreadyOwnedByYou`.
    pub fn create_bucket(&self, name: &str) -> S3Result<()> {
        let mut buckets = self.buckets.lock();
        if buckets.contains_key(name) {
            let text = "Your previous request to create the named bucket succeeded and you already own it.";
            return Err(s3_error!(BucketAlreadyOwnedByYou, "{text}"));
        }
        let bucket = Bucket { created: SystemTime::now(), objects: BTreeMap::new(), uploads: BTreeMap::new() };
        buckets.insert(name.to_owned(), bucket);
        Ok(())
    }

    /// Deletes an empty bucket. Uploads not ended go with it.
    ///
    /// # Errors
    /// 409 `BucketNotEmpty`.
    pub fn delete_bucket(&self, name: &str) -> S3Result<()> {
        let mut buckets = self.buckets.lock();
        match buckets.get(name) {
            None => Err(no_such_bucket()),
            Some(bucket) if !bucket.objects.is_empty() => {
                Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty"))
            }
            Some(_) => {
                buckets.remove(name);
                Ok(())
            }
        }
    }

    /// Names and ages of all buckets.
    pub fn buckets(&self) -> Vec<(String, SystemTime)> {
        self.buckets.lock().iter().map(|(name, bucket)| (name.clone(), bucket.created)).collect()
    }

    /// Looks into a bucket, or changes it, at one moment.
    ///
    /// # Errors
    /// 404 `NoSuchBucket`, or what `work` gives.
    pub fn with_bucket<T>(&self, name: &str, work: impl FnOnce(&mut Bucket) -> S3Result<T>) -> S3Result<T> {
        let mut buckets = self.buckets.lock();
        work(buckets.get_mut(name).ok_or_else(no_such_bucket)?)
    }

    /// Writes an object under conditions, and gives its `ETag`.
    ///
    /// # Errors
    /// Those of the conditions.
    pub fn put(&self, bucket: &str, key: &str, object: Object, conditions: &Conditions) -> S3Result<String> {
        self.with_bucket(bucket, |bucket| {
            conditions.check(bucket.objects.get(key))?;
            let etag = object.etag.clone();
            bucket.objects.insert(key.to_owned(), object);
            Ok(etag)
        })
    }

    /// An object; its bytes are shared, not copied.
    ///
    /// # Errors
    /// 404 `NoSuchKey`.
    pub fn get(&self, bucket: &str, key: &str) -> S3Result<Object> {
        self.with_bucket(bucket, |bucket| {
            bucket.objects.get(key).cloned().ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
        })
    }

    /// Deletes an object. That it was not there is no error.
    ///
    /// # Errors
    /// 412 for a condition that does not hold.
    pub fn delete(&self, bucket: &str, key: &str, conditions: &Conditions) -> S3Result<()> {
        self.with_bucket(bucket, |bucket| {
            conditions.check(bucket.objects.get(key))?;
            bucket.objects.remove(key);
            Ok(())
        })
    }

    /// All keys of a bucket in order, for tests; none if there is no such bucket.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        self.buckets.lock().get(bucket).map(|bucket| bucket.objects.keys().cloned().collect()).unwrap_or_default()
    }

    /// Key and id of all multipart uploads not ended, for tests.
    pub fn uploads(&self, bucket: &str) -> Vec<(String, String)> {
        self.buckets.lock().get(bucket).map(|bucket| bucket.uploads.keys().cloned().collect()).unwrap_or_default()
    }
}

fn no_such_bucket() -> s3s::S3Error {
    s3_error!(NoSuchBucket, "The specified bucket does not exist")
}
