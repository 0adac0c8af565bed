//! The store behind the protocol: each operation of S3 that is served, between the faults before and after it.

mod multipart;
mod pages;
mod whole;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
#[allow(clippy::wildcard_imports, reason = "fifty names that are S3's own")]
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use crate::s3::access::hide_absence;
use crate::s3::checksum::{Algorithm, Claims, Sum};
use crate::s3::fault::{Fault, Operation};
use crate::s3::server::{dropped, injected};
use crate::s3::store::{Attributes, Conditions, Object as Kept, Store};

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

use {claims, faulty, show_sum, sums};

impl Service {
    /// Serves a store.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    async fn strike(&self, operation: &Operation<'_>, done: bool) -> S3Result<()> {
        Self::suffer(self.store.fault(operation, done)).await
    }

    async fn suffer(fault: Fault) -> S3Result<()> {
        match fault {
            Fault::None => Ok(()),
            Fault::Delay(time) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Fault::Error { status, code } => Err(injected(status, &code)),
            Fault::Drop => Err(dropped()),
            Fault::Body(_) => Err(s3_error!(NotImplemented, "only GetObject, once done, has a body to spoil")),
        }
    }
}

pub(super) async fn read(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let Some(body) = body else { return Ok(Bytes::new()) };
    let broken = |error: s3s::StdError| s3_error!(IncompleteBody, "The body broke off: {error}");
    Ok(body
        .try_fold(BytesMut::new(), |mut all, chunk| async move {
            all.extend_from_slice(&chunk);
            Ok(all)
        })
        .await
        .map_err(broken)?
        .freeze())
}

pub(super) fn etag(value: &str) -> ETag {
    ETag::Strong(value.to_owned())
}

/// Encryption at rest, as a request asks for it.
fn encryption(
    algorithm: Option<&ServerSideEncryption>,
    key: Option<String>,
) -> S3Result<Option<(String, Option<String>)>> {
    match (algorithm.map(ServerSideEncryption::as_str), key) {
        (None, None) => Ok(None),
        (Some("AES256"), None) => Ok(Some(("AES256".to_owned(), None))),
        (Some("aws:kms"), key) => Ok(Some(("aws:kms".to_owned(), key))),
        (None | Some("AES256"), Some(_)) => Err(s3_error!(InvalidArgument, "a key of KMS without aws:kms")),
        (Some(_), _) => Err(s3_error!(InvalidArgument, "The encryption method specified is not supported")),
    }
}

pub(super) fn check_key(key: &str) -> S3Result<()> {
    if key.len() > 1024 {
        return Err(s3_error!(KeyTooLongError, "Your key is too long"));
    }
    Ok(())
}

fn check_read(object: &Kept, if_match: Option<&ETagCondition>, if_none_match: Option<&ETagCondition>) -> S3Result<()> {
    let equals = |condition: &ETagCondition| condition.as_etag().is_none_or(|etag| etag.value() == object.etag);
    if if_match.is_some_and(|condition| !equals(condition)) {
        return Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold"));
    }
    if if_none_match.is_some_and(equals) {
        return Err(s3_error!(NotModified, "Not Modified"));
    }
    Ok(())
}

pub(super) fn checksum_type(sum: &Sum) -> ChecksumType {
    ChecksumType::from_static(if sum.is_composite() { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT })
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
        let encryption = encryption(input.server_side_encryption.as_ref(), input.ssekms_key_id)?;
        faulty!(self, "PutObject", input.bucket, input.key, {
            let attributes = Attributes {
                content_type: input.content_type,
                content_encoding: input.content_encoding,
                cache_control: input.cache_control,
                metadata: input.metadata,
                encryption,
            };
            let conditions = Conditions { if_match: input.if_match, if_none_match: input.if_none_match };
            let object = Kept::new(body, sum.clone(), attributes);
            let written = self.store.put(&input.bucket, &input.key, object, &conditions)?;
            let mut output = PutObjectOutput {
                e_tag: Some(etag(&written)),
                checksum_type: Some(checksum_type(&sum)),
                ..Default::default()
            };
            show_sum!(output, sum);
            Ok(output)
        })
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        self.give_object(req).await
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let (input, extensions) = (req.input, req.extensions);
        faulty!(self, "HeadObject", input.bucket, input.key, {
            let object = hide_absence(self.store.get(&input.bucket, &input.key), &extensions)?;
            check_read(&object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
            let mut output = HeadObjectOutput {
                accept_ranges: Some("bytes".to_owned()),
                content_length: i64::try_from(object.body.len()).ok(),
                e_tag: Some(etag(&object.etag)),
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
                let conditions = Conditions { if_match: object.e_tag.map(ETagCondition::ETag), if_none_match: None };
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
                    encryption: object.attributes.encryption,
                };
            }
            let copy = Kept::new(object.body, object.sum, object.attributes);
            let modified = copy.modified;
            let written = self.store.put(&input.bucket, &input.key, copy, &Conditions::default())?;
            let result = CopyObjectResult {
                e_tag: Some(etag(&written)),
                last_modified: Some(modified.into()),
                ..Default::default()
            };
            Ok(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() })
        })
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.object_page(req).await
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.begin_upload(req).await
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        self.put_part(req).await
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.complete_upload(req).await
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.abort_upload(req).await
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        self.part_page(req).await
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        self.upload_page(req).await
    }
}
