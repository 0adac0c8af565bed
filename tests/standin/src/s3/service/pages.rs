//! Operations that list.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE as BASE64;
use s3s::dto::{
    ChecksumAlgorithm, CommonPrefix, EncodingType, ListMultipartUploadsInput, ListMultipartUploadsOutput,
    ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput, MultipartUpload, Object,
    ObjectStorageClass, Part,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::{Service, checksum_type, etag, faulty, show_sum};
use crate::s3::checksum::Algorithm;
use crate::s3::fault::Operation;
use crate::s3::listing::{self, Wanted};

impl Service {
    /// A page of objects.
    pub(super) async fn object_page(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = req.input;
        let limit = self.page_limit(input.max_keys)?;
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
                    e_tag: Some(etag(&object.etag)),
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

    /// A page of an upload's parts.
    pub(super) async fn part_page(&self, req: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        let input = req.input;
        let limit = self.page_limit(input.max_parts)?;
        faulty!(self, "ListParts", input.bucket, input.key, {
            let upload = self.store.upload(&input.bucket, &input.key, &input.upload_id)?;
            let after = input.part_number_marker.unwrap_or(0);
            let all: Vec<_> = upload.parts.iter().filter(|(number, _)| **number > after).collect();
            let shown = &all[..all.len().min(usize::try_from(limit).unwrap_or(0))];
            let parts = shown.iter().map(|(number, part)| {
                let mut shown = Part {
                    part_number: Some(**number),
                    size: i64::try_from(part.body.len()).ok(),
                    e_tag: Some(etag(&part.etag)),
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

    /// A page of uploads not ended.
    pub(super) async fn upload_page(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = req.input;
        let limit = self.page_limit(input.max_uploads)?;
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

    /// How many entries a page has: as many as asked for, but never more than the server gives.
    fn page_limit(&self, asked: Option<i32>) -> S3Result<i32> {
        let most = self.store.page_limit();
        match asked {
            Some(..0) => {
                Err(s3_error!(InvalidArgument, "Argument maxKeys must be an integer between 0 and 2147483647"))
            }
            asked => Ok(asked.unwrap_or(most).min(most)),
        }
    }
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
