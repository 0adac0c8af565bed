//! Multipart uploads.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use s3s::dto::CompletedPart;
use s3s::{S3Result, s3_error};
use uuid::Uuid;

use super::checksum::{Algorithm, Sum, md5_hex, multipart_etag};
use super::store::{Attributes, Bucket, Conditions, Object, Store};

/// Smallest part but the last.
pub const PART_MINIMUM: usize = 5 << 20;
const PART_NUMBERS: std::ops::RangeInclusive<i32> = 1..=10_000;

/// An upload begun and not ended.
#[derive(Debug, Clone)]
pub struct Upload {
    /// When it began.
    pub begun: SystemTime,
    /// The algorithm asked for when it began.
    pub algorithm: Option<Algorithm>,
    /// Whether the checksum is to be over the whole object, not over those of its parts.
    pub full_object: bool,
    /// What the object will have.
    pub attributes: Attributes,
    /// Parts by number.
    pub parts: BTreeMap<i32, Part>,
}

/// A part.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its bytes.
    pub body: Bytes,
    /// `ETag` without quotes.
    pub etag: String,
    /// Checksum.
    pub sum: Sum,
    /// When it was written.
    pub modified: SystemTime,
}

fn no_such_upload() -> s3s::S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or \
         completed."
    )
}

fn find<'a>(bucket: &'a mut Bucket, key: &str, id: &str) -> S3Result<&'a mut Upload> {
    bucket.uploads.get_mut(&(key.to_owned(), id.to_owned())).ok_or_else(no_such_upload)
}

impl Store {
    /// Begins an upload and gives its id.
    ///
    /// # Errors
    /// 404 `NoSuchBucket`.
    pub fn begin_upload(&self, bucket: &str, key: &str, upload: Upload) -> S3Result<String> {
        self.with_bucket(bucket, |bucket| {
            let id = Uuid::new_v4().simple().to_string();
            bucket.uploads.insert((key.to_owned(), id.clone()), upload);
            Ok(id)
        })
    }

    /// Writes a part, in place of the one of that number, and gives its `ETag`.
    ///
    /// # Errors
    /// 404 `NoSuchUpload`, 400 for a number out of range.
    pub fn put_part(&self, place: (&str, &str, &str), number: i32, body: Bytes, sum: Sum) -> S3Result<String> {
        if !PART_NUMBERS.contains(&number) {
            return Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"));
        }
        let etag = md5_hex(&body);
        let (bucket, key, id) = place;
        self.with_bucket(bucket, |bucket| {
            let part = Part { body, etag: etag.clone(), sum, modified: SystemTime::now() };
            find(bucket, key, id)?.parts.insert(number, part);
            Ok(etag)
        })
    }

    /// The upload as it stands.
    ///
    /// # Errors
    /// 404 `NoSuchUpload`.
    pub fn upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<Upload> {
        self.with_bucket(bucket, |bucket| find(bucket, key, id).cloned())
    }

    /// Gives an upload up.
    ///
    /// # Errors
    /// 404 `NoSuchUpload`.
    pub fn abort_upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<()> {
        self.with_bucket(bucket, |bucket| {
            bucket.uploads.remove(&(key.to_owned(), id.to_owned())).map(|_| ()).ok_or_else(no_such_upload)
        })
    }

    /// Makes an upload an object, under conditions held at that moment.
    ///
    /// # Errors
    /// `NoSuchUpload`, `InvalidPart`, `InvalidPartOrder`, `EntityTooSmall`, `PreconditionFailed`.
    pub fn complete_upload(
        &self,
        place: (&str, &str, &str),
        listed: &[CompletedPart],
        claimed: &[Sum],
        conditions: &Conditions,
    ) -> S3Result<Object> {
        let (bucket, key, id) = place;
        self.with_bucket(bucket, |bucket| {
            let upload = find(bucket, key, id)?;
            let parts = chosen(upload, listed)?;
            let object = join(upload, &parts);
            if claimed.iter().any(|sum| sum.algorithm == object.sum.algorithm && sum.value != object.sum.value) {
                return Err(s3_error!(BadDigest, "The checksum you specified did not match the calculated checksum."));
            }
            conditions.check(bucket.objects.get(key))?;
            bucket.uploads.remove(&(key.to_owned(), id.to_owned()));
            bucket.objects.insert(key.to_owned(), object.clone());
            Ok(object)
        })
    }
}

fn chosen<'a>(upload: &'a Upload, listed: &[CompletedPart]) -> S3Result<Vec<&'a Part>> {
    if listed.is_empty() {
        return Err(s3_error!(MalformedXML, "You must specify at least one part"));
    }
    if !listed.is_sorted_by(|left, right| left.part_number < right.part_number) {
        return Err(s3_error!(InvalidPartOrder, "The list of parts was not in ascending order."));
    }
    let invalid = || {
        s3_error!(
            InvalidPart,
            "One or more of the specified parts could not be found.  The part may not have been uploaded, or the \
             specified entity tag may not match the part's entity tag."
        )
    };
    let parts = listed
        .iter()
        .map(|named| {
            let part = named.part_number.and_then(|number| upload.parts.get(&number)).ok_or_else(invalid)?;
            let etag_differs = named.e_tag.as_ref().is_none_or(|etag| etag.value() != part.etag);
            let sums = [
                (Algorithm::Crc32, &named.checksum_crc32),
                (Algorithm::Crc32c, &named.checksum_crc32c),
                (Algorithm::Crc64Nvme, &named.checksum_crc64nvme),
                (Algorithm::Sha1, &named.checksum_sha1),
                (Algorithm::Sha256, &named.checksum_sha256),
            ];
            let differs = |(algorithm, sum): &(Algorithm, &Option<String>)| {
                sum.as_ref().is_some_and(|sum| *sum != Sum::of(*algorithm, &part.body).value)
            };
            let sum_differs = sums.iter().any(differs);
            // Amazon S3 finds no such part where the upload was begun without that algorithm (seen in aws-sdk-go-v2 issue 3005).
            let sum_unknown = upload.algorithm.is_none() && sums.iter().any(|(_, sum)| sum.is_some());
            if etag_differs || sum_differs || sum_unknown { Err(invalid()) } else { Ok(part) }
        })
        .collect::<S3Result<Vec<_>>>()?;
    if parts.iter().rev().skip(1).any(|part| part.body.len() < PART_MINIMUM) {
        return Err(s3_error!(EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size"));
    }
    // Cloudflare's R2 wants all but the last of one size, and the last no larger; Amazon S3 does not care.
    let (size, last) = (parts[0].body.len(), parts[parts.len() - 1].body.len());
    if last > size || parts.iter().rev().skip(1).any(|part| part.body.len() != size) {
        return Err(s3_error!(InvalidPart, "All non-trailing parts must have the same length."));
    }
    Ok(parts)
}

fn join(upload: &Upload, parts: &[&Part]) -> Object {
    let mut body = BytesMut::with_capacity(parts.iter().map(|part| part.body.len()).sum());
    for part in parts {
        body.extend_from_slice(&part.body);
    }
    let body = body.freeze();
    let etags: Vec<&str> = parts.iter().map(|part| part.etag.as_str()).collect();
    let sum = match upload.algorithm {
        Some(algorithm) if !upload.full_object => {
            let sums: Vec<Sum> = parts.iter().map(|part| Sum::of(algorithm, &part.body)).collect();
            Sum::composite(algorithm, &sums.iter().collect::<Vec<_>>())
        }
        algorithm => Sum::of(algorithm.unwrap_or(Algorithm::Crc64Nvme), &body),
    };
    Object {
        body,
        etag: multipart_etag(&etags),
        modified: SystemTime::now(),
        sum,
        attributes: upload.attributes.clone(),
    }
}
