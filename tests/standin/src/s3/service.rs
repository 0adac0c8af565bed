//! The store behind the protocol: each operation of S3 that is served, between the faults before and after it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE as BASE64;
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use s3s::dto::*;
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};

use super::checksum::{Algorithm, Claims, Sum};
use super::fault::{Fault, Operation};
use super::listing::{self, Wanted};
use super::server::{dropped, injected};
use super::store::{Attributes, Conditions, Object as Kept, Store};
use super::upload::Upload;

const PAGE_LIMIT: i32 = 1000;
const REGION: &str = "us-east-1";

/// The operations over a store.
pub struct Service {
    store: Arc<Store>,
}

/// Claims of an input that has a body.
macro_rules! claims {
    ($request:expr) => {
        Claims {
            sums: sums!($request.input),
            algorithm: $request.input.checksum_algorithm.take().map(|algorithm| algorithm.as_str().to_owned()),
            md5: $request.input.content_md5.take(),
            length: $request.input.content_length,
            trailers: $request.trailing_headers.take(),
        }
    };
}

/// Checksums in the headers of an input.
macro_rules! sums {
    ($input:expr) => {
        vec![
            (Algorithm::Crc32, $input.checksum_crc32.take()),
            (Algorithm::Crc32c, $input.checksum_crc32c.take()),
            (Algorithm::Crc64Nvme, $input.checksum_crc64nvme.take()),
            (Algorithm::Sha1, $input.checksum_sha1.take()),
            (Algorithm::Sha256, $input.checksum_sha256.take()),
        ]
    };
}

/// Puts a checksum into the field of its algorithm.
macro_rules! show_sum {
    ($output:expr, $sum:expr) => {
        match $sum.algorithm {
            Algorithm::Crc32 => $output.checksum_crc32 = Some($sum.value.clone()),
            Algorithm::Crc32c => $output.checksum_crc32c = Some($sum.value.clone()),
            Algorithm::Crc64Nvme => $output.checksum_crc64nvme = Some($sum.value.clone()),
            Algorithm::Sha1 => $output.checksum_sha1 = Some($sum.value.clone()),
            Algorithm::Sha256 => $output.checksum_sha256 = Some($sum.value.clone()),
        }
    };
}

/// Runs an operation between its faults.
macro_rules! faulty {
    ($self:ident, $name:literal, $bucket:expr, $key:expr, $work:expr) => {{
        let (bucket, key) = ($bucket.clone(), $key.clone());
        let operation = Operation { name: $name, bucket: &bucket, key: &key };
        $self.strike(&operation, false).await?;
        let result = async { $work }.await;
        $self.strike(&operation, true).await?;
        result.map(S3Response::new)
    }};
}

impl Service {
    /// Serves a store.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    async fn strike(&self, operation: &Operation<'_>, done: bool) -> S3Result<()> {
        match self.store.fault(operation, done) {
            Fault::None => Ok(()),
            Fault::Delay(time) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Fault::Error { status, code } => Err(injected(status, &code)),
            Fault::Drop => Err(dropped()),
        }
    }
}

async fn read(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let Some(body) = body else { return Ok(Bytes::new()) };
    let broken = |error: s3s::StdError| s3_error!(IncompleteBody, "The body broke off: {error}");
    Ok(body.try_fold(BytesMut::new(), |mut all, chunk| async move {
        all.extend_from_slice(&chunk);
        Ok(all)
    })
    .await
    .map_err(broken)?
    .freeze())
}

fn etag(value: &str) -> Option<ETag> {
    Some(ETag::Strong(value.to_owned()))
}

fn check_key(key: &str) -> S3Result<()> {
    if key.len() > 1024 {
        return Err(s3_error!(KeyTooLongError, "Your key is too long"));
    }
    Ok(())
}

fn check_read(object: &Kept, if_match: Option<&ETagCondition>, if_none_match: Option<&ETagCondition>) -> S3Result<()> {
    let equals =
        |condition: &ETagCondition| condition.as_etag().is_none_or(|etag| etag.value() == object.etag);
    if if_match.is_some_and(|condition| !equals(condition)) {
        return Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold"));
    }
    if if_none_match.is_some_and(equals) {
        return Err(s3_error!(NotModified, "Not Modified"));
    }
    Ok(())
}

fn checksum_type(sum: &Sum) -> ChecksumType {
    ChecksumType::from_static(if sum.is_composite() { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT })
}

fn page_limit(asked: Option<i32>) -> S3Result<i32> {
    let asked = asked.unwrap_or(PAGE_LIMIT);
    if asked < 0 {
        return Err(s3_error!(InvalidArgument, "Argument maxKeys must be an integer between 0 and 2147483647"));
    }
    Ok(asked.min(PAGE_LIMIT))
}

/// A cell of a listing as `encoding-type=url` wants it.
fn encoded(text: &str, encoding: Option<&EncodingType>) -> String {
    use std::fmt::Write as _;
    if encoding.is_none() {
        return text.to_owned();
    }
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.*/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[async_trait::async_trait]
impl S3 for Service {
    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        let input = req.input;
        faulty!(self, "CreateBucket", input.bucket, String::new(), {
            self.store.create_bucket(&input.bucket)?;
            Ok(CreateBucketOutput { location: Some(format!("/{}", input.bucket)) })
        })
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        let input = req.input;
        faulty!(self, "HeadBucket", input.bucket, String::new(), {
            self.store.with_bucket(&input.bucket, |_| Ok(()))?;
            Ok(HeadBucketOutput { bucket_region: Some(REGION.to_owned()), ..Default::default() })
        })
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        let input = req.input;
        faulty!(self, "GetBucketLocation", input.bucket, String::new(), {
            self.store.with_bucket(&input.bucket, |_| Ok(()))?;
            Ok(GetBucketLocationOutput::default())
        })
    }

    async fn delete_bucket(&self, req: S3Request<DeleteBucketInput>) -> S3Result<S3Response<DeleteBucketOutput>> {
        let input = req.input;
        faulty!(self, "DeleteBucket", input.bucket, String::new(), {
            self.store.delete_bucket(&input.bucket)?;
            Ok(DeleteBucketOutput::default())
        })
    }

    async fn list_buckets(&self, _req: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        faulty!(self, "ListBuckets", String::new(), String::new(), {
            let buckets = self.store.buckets().into_iter().map(|(name, created)| Bucket {
                name: Some(name),
                creation_date: Some(created.into()),
                ..Default::default()
            });
            Ok(ListBucketsOutput { buckets: Some(buckets.collect()), ..Default::default() })
        })
    }

    async fn put_object(&self, mut req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        check_key(&req.input.key)?;
        let body = read(req.input.body.take()).await?;
        let sum = claims!(req).check(&body)?;
        let input = req.input;
        faulty!(self, "PutObject", input.bucket, input.key, {
            let attributes = Attributes {
                content_type: input.content_type,
                content_encoding: input.content_encoding,
                cache_control: input.cache_control,
                metadata: input.metadata,
            };
            let conditions = Conditions { if_match: input.if_match, if_none_match: input.if_none_match };
            let object = Kept::new(body, sum.clone(), attributes);
            let written = self.store.put(&input.bucket, &input.key, object, &conditions)?;
            let mut output = PutObjectOutput {
                e_tag: etag(&written),
                checksum_type: Some(checksum_type(&sum)),
                ..Default::default()
            };
            show_sum!(output, sum);
            Ok(output)
        })
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = req.input;
        faulty!(self, "GetObject", input.bucket, input.key, {
            let object = self.store.get(&input.bucket, &input.key)?;
            check_read(&object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
            let length = object.body.len() as u64;
            let range = match input.range {
                None => None,
                Some(range) => Some(
                    range
                        .check(length)
                        .map_err(|_| s3_error!(InvalidRange, "The requested range is not satisfiable"))?,
                ),
            };
            let part = range.clone().unwrap_or(0..length);
            let body = object.body.slice(to_index(part.start)..to_index(part.end));
            let mut output = GetObjectOutput {
                accept_ranges: Some("bytes".to_owned()),
                content_length: i64::try_from(body.len()).ok(),
                content_range: range.map(|range| format!("bytes {}-{}/{length}", range.start, range.end - 1)),
                body: Some(StreamingBlob::from(Body::from(body))),
                e_tag: etag(&object.etag),
                last_modified: Some(object.modified.into()),
                content_type: object.attributes.content_type,
                content_encoding: object.attributes.content_encoding,
                cache_control: object.attributes.cache_control,
                metadata: object.attributes.metadata,
                ..Default::default()
            };
            // The checksum is over the whole object: it would not fit a range of it.
            if input.checksum_mode.is_some() && output.content_range.is_none() {
                output.checksum_type = Some(checksum_type(&object.sum));
                show_sum!(output, object.sum);
            }
            Ok(output)
        })
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = req.input;
        faulty!(self, "HeadObject", input.bucket, input.key, {
            let object = self.store.get(&input.bucket, &input.key)?;
            check_read(&object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
            let mut output = HeadObjectOutput {
                accept_ranges: Some("bytes".to_owned()),
                content_length: i64::try_from(object.body.len()).ok(),
                e_tag: etag(&object.etag),
                last_modified: Some(object.modified.into()),
                content_type: object.attributes.content_type,
                content_encoding: object.attributes.content_encoding,
                cache_control: object.attributes.cache_control,
                metadata: object.attributes.metadata,
                ..Default::default()
            };
            if input.checksum_mode.is_some() {
                output.checksum_type = Some(checksum_type(&object.sum));
                show_sum!(output, object.sum);
            }
            Ok(output)
        })
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = req.input;
        faulty!(self, "DeleteObject", input.bucket, input.key, {
            let conditions = Conditions { if_match: input.if_match, if_none_match: None };
            self.store.delete(&input.bucket, &input.key, &conditions)?;
            Ok(DeleteObjectOutput::default())
        })
    }

    async fn delete_objects(&self, req: S3Request<DeleteObjectsInput>) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = req.input;
        let named = input.delete.objects;
        if named.is_empty() || named.len() > 1000 {
            let text = "The XML you provided was not well-formed or did not validate against our published schema";
            return Err(s3_error!(MalformedXML, "{text}"));
        }
        let first = named.first().map(|object| object.key.clone()).unwrap_or_default();
        faulty!(self, "DeleteObjects", input.bucket, first, {
            self.store.with_bucket(&input.bucket, |_| Ok(()))?;
            let (mut deleted, mut errors) = (Vec::new(), Vec::new());
            for object in named {
                let conditions =
                    Conditions { if_match: object.e_tag.map(ETagCondition::ETag), if_none_match: None };
                match self.store.delete(&input.bucket, &object.key, &conditions) {
                    Ok(()) => deleted.push(DeletedObject { key: Some(object.key), ..Default::default() }),
                    Err(error) => errors.push(Error {
                        key: Some(object.key),
                        code: Some(error.code().as_str().to_owned()),
                        message: error.message().map(str::to_owned),
                        ..Default::default()
                    }),
                }
            }
            let quiet = input.delete.quiet.unwrap_or(false);
            Ok(DeleteObjectsOutput {
                deleted: Some(if quiet { Vec::new() } else { deleted }),
                errors: Some(errors),
                ..Default::default()
            })
        })
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = req.input;
        check_key(&input.key)?;
        let CopySource::Bucket { bucket: from_bucket, key: from_key, .. } = &input.copy_source else {
            return Err(s3_error!(NotImplemented, "copies from access points are not served"));
        };
        faulty!(self, "CopyObject", input.bucket, input.key, {
            let mut object = self.store.get(from_bucket, from_key)?;
            check_read(&object, input.copy_source_if_match.as_ref(), None)?;
            if input.metadata_directive.is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE) {
                object.attributes = Attributes {
                    content_type: input.content_type,
                    content_encoding: input.content_encoding,
                    cache_control: input.cache_control,
                    metadata: input.metadata,
                };
            }
            let copy = Kept::new(object.body, object.sum, object.attributes);
            let modified = copy.modified;
            let written = self.store.put(&input.bucket, &input.key, copy, &Conditions::default())?;
            let result = CopyObjectResult {
                e_tag: etag(&written),
                last_modified: Some(modified.into()),
                ..Default::default()
            };
            Ok(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() })
        })
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = req.input;
        let limit = page_limit(input.max_keys)?;
        let prefix = input.prefix.clone().unwrap_or_default();
        faulty!(self, "ListObjectsV2", input.bucket, prefix, {
            let token = input.continuation_token.as_deref().map(from_token).transpose()?;
            let encoding = input.encoding_type.as_ref();
            let wanted = Wanted {
                prefix: input.prefix.as_deref().unwrap_or(""),
                delimiter: input.delimiter.as_deref().unwrap_or(""),
                after: token.as_deref().or(input.start_after.as_deref()).unwrap_or(""),
                limit: usize::try_from(limit).unwrap_or(0),
            };
            self.store.with_bucket(&input.bucket, |bucket| {
                let page = listing::page(&bucket.objects, &wanted);
                let contents = page.entries.iter().map(|(key, object)| Object {
                    key: Some(encoded(key, encoding)),
                    size: i64::try_from(object.body.len()).ok(),
                    e_tag: etag(&object.etag),
                    last_modified: Some(object.modified.into()),
                    storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
                    checksum_algorithm: Some(vec![ChecksumAlgorithm::from_static(object.sum.algorithm.name())]),
                    checksum_type: Some(checksum_type(&object.sum)),
                    ..Default::default()
                });
                let prefixes =
                    page.prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(encoded(prefix, encoding)) });
                Ok(ListObjectsV2Output {
                    key_count: i32::try_from(page.entries.len() + page.prefixes.len()).ok(),
                    contents: Some(contents.collect()),
                    common_prefixes: Some(prefixes.collect()),
                    is_truncated: Some(page.next.is_some()),
                    next_continuation_token: page.next.as_deref().map(to_token),
                    continuation_token: input.continuation_token.clone(),
                    max_keys: Some(limit),
                    name: Some(input.bucket.clone()),
                    prefix: input.prefix.as_deref().map(|prefix| encoded(prefix, encoding)),
                    delimiter: input.delimiter.as_deref().map(|delimiter| encoded(delimiter, encoding)),
                    start_after: input.start_after.as_deref().map(|after| encoded(after, encoding)),
                    encoding_type: input.encoding_type.clone(),
                    ..Default::default()
                })
            })
        })
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = req.input;
        check_key(&input.key)?;
        let algorithm =
            input.checksum_algorithm.as_ref().map(|name| Algorithm::named(name.as_str())).transpose()?;
        let full_object = match input.checksum_type.as_ref().map(ChecksumType::as_str) {
            Some(kind) => kind == ChecksumType::FULL_OBJECT,
            None => algorithm.is_none_or(|algorithm| algorithm == Algorithm::Crc64Nvme),
        };
        faulty!(self, "CreateMultipartUpload", input.bucket, input.key, {
            let upload = Upload {
                begun: std::time::SystemTime::now(),
                algorithm,
                full_object,
                attributes: Attributes {
                    content_type: input.content_type,
                    content_encoding: input.content_encoding,
                    cache_control: input.cache_control,
                    metadata: input.metadata,
                },
                parts: std::collections::BTreeMap::new(),
            };
            let id = self.store.begin_upload(&input.bucket, &input.key, upload)?;
            Ok(CreateMultipartUploadOutput {
                bucket: Some(input.bucket),
                key: Some(input.key),
                upload_id: Some(id),
                checksum_algorithm: input.checksum_algorithm,
                checksum_type: input.checksum_type,
                ..Default::default()
            })
        })
    }

    async fn upload_part(&self, mut req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let body = read(req.input.body.take()).await?;
        let sum = claims!(req).check(&body)?;
        let input = req.input;
        faulty!(self, "UploadPart", input.bucket, input.key, {
            let place = (input.bucket.as_str(), input.key.as_str(), input.upload_id.as_str());
            let written = self.store.put_part(place, input.part_number, body, sum.clone())?;
            let mut output = UploadPartOutput { e_tag: etag(&written), ..Default::default() };
            show_sum!(output, sum);
            Ok(output)
        })
    }

    async fn complete_multipart_upload(
        &self,
        mut req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let claimed = sums!(req.input);
        let input = req.input;
        faulty!(self, "CompleteMultipartUpload", input.bucket, input.key, {
            let claimed: Vec<Sum> = claimed
                .into_iter()
                .filter_map(|(algorithm, value)| value.map(|value| Sum { algorithm, value }))
                .collect();
            let listed = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
            let conditions = Conditions { if_match: input.if_match, if_none_match: input.if_none_match };
            let place = (input.bucket.as_str(), input.key.as_str(), input.upload_id.as_str());
            let object = self.store.complete_upload(place, &listed, &claimed, &conditions)?;
            let mut output = CompleteMultipartUploadOutput {
                location: Some(format!("/{}/{}", input.bucket, input.key)),
                e_tag: etag(&object.etag),
                checksum_type: Some(checksum_type(&object.sum)),
                bucket: Some(input.bucket),
                key: Some(input.key),
                ..Default::default()
            };
            show_sum!(output, object.sum);
            Ok(output)
        })
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = req.input;
        faulty!(self, "AbortMultipartUpload", input.bucket, input.key, {
            self.store.abort_upload(&input.bucket, &input.key, &input.upload_id)?;
            Ok(AbortMultipartUploadOutput::default())
        })
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        let input = req.input;
        let limit = page_limit(input.max_parts)?;
        faulty!(self, "ListParts", input.bucket, input.key, {
            let upload = self.store.upload(&input.bucket, &input.key, &input.upload_id)?;
            let after = input.part_number_marker.unwrap_or(0);
            let all: Vec<_> = upload.parts.iter().filter(|(number, _)| **number > after).collect();
            let shown = &all[..all.len().min(usize::try_from(limit).unwrap_or(0))];
            let parts = shown.iter().map(|(number, part)| {
                let mut shown = Part {
                    part_number: Some(**number),
                    size: i64::try_from(part.body.len()).ok(),
                    e_tag: etag(&part.etag),
                    last_modified: Some(part.modified.into()),
                    ..Default::default()
                };
                show_sum!(shown, part.sum);
                shown
            });
            Ok(ListPartsOutput {
                parts: Some(parts.collect()),
                is_truncated: Some(shown.len() < all.len()),
                next_part_number_marker: shown.last().map(|(number, _)| **number),
                part_number_marker: input.part_number_marker,
                max_parts: Some(limit),
                bucket: Some(input.bucket),
                key: Some(input.key),
                upload_id: Some(input.upload_id),
                ..Default::default()
            })
        })
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = req.input;
        let limit = page_limit(input.max_uploads)?;
        let prefix = input.prefix.clone().unwrap_or_default();
        if input.delimiter.is_some() {
            return Err(s3_error!(NotImplemented, "uploads are not listed by delimiter"));
        }
        faulty!(self, "ListMultipartUploads", input.bucket, prefix, {
            let after = (
                input.key_marker.clone().unwrap_or_default(),
                input.upload_id_marker.clone().unwrap_or_else(|| "\u{10FFFF}".to_owned()),
            );
            self.store.with_bucket(&input.bucket, |bucket| {
                let begins = |key: &str| key.starts_with(input.prefix.as_deref().unwrap_or(""));
                let all: Vec<_> = bucket
                    .uploads
                    .iter()
                    .filter(|(place, _)| begins(&place.0) && (input.key_marker.is_none() || **place > after))
                    .collect();
                let shown = &all[..all.len().min(usize::try_from(limit).unwrap_or(0))];
                let uploads = shown.iter().map(|((key, id), upload)| MultipartUpload {
                    key: Some(encoded(key, input.encoding_type.as_ref())),
                    upload_id: Some(id.clone()),
                    initiated: Some(upload.begun.into()),
                    ..Default::default()
                });
                let last = shown.last().filter(|_| shown.len() < all.len()).map(|(place, _)| (*place).clone());
                let (next_key, next_id) = last.unzip();
                Ok(ListMultipartUploadsOutput {
                    uploads: Some(uploads.collect()),
                    is_truncated: Some(shown.len() < all.len()),
                    next_key_marker: next_key,
                    next_upload_id_marker: next_id,
                    key_marker: input.key_marker.clone(),
                    upload_id_marker: input.upload_id_marker.clone(),
                    max_uploads: Some(limit),
                    bucket: Some(input.bucket.clone()),
                    prefix: input.prefix.clone(),
                    encoding_type: input.encoding_type.clone(),
                    ..Default::default()
                })
            })
        })
    }
}

fn to_index(place: u64) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

fn to_token(after: &str) -> String {
    BASE64.encode(after)
}

fn from_token(token: &str) -> S3Result<String> {
    BASE64
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}
