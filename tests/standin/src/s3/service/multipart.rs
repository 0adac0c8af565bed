//! Operations on multipart uploads.

use std::collections::BTreeMap;
use std::time::SystemTime;

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumType, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3Request, S3Response, S3Result};

use super::{Service, check_key, checksum_type, claims, encryption, etag, faulty, read, show_sum, sums};
use crate::s3::checksum::{Algorithm, Claims, Sum};
use crate::s3::fault::Operation;
use crate::s3::store::{Attributes, Conditions};
use crate::s3::upload::Upload;

impl Service {
    /// Begins a multipart upload.
    pub(super) async fn begin_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = req.input;
        check_key(&input.key)?;
        let encryption = encryption(input.server_side_encryption.as_ref(), input.ssekms_key_id)?;
        let algorithm = input.checksum_algorithm.as_ref().map(|name| Algorithm::named(name.as_str())).transpose()?;
        let full_object = match input.checksum_type.as_ref().map(ChecksumType::as_str) {
            Some(kind) => kind == ChecksumType::FULL_OBJECT,
            None => algorithm.is_none_or(|algorithm| algorithm == Algorithm::Crc64Nvme),
        };
        faulty!(self, "CreateMultipartUpload", input.bucket, input.key, {
            let upload = Upload {
                begun: SystemTime::now(),
                algorithm,
                full_object,
                attributes: Attributes {
                    content_type: input.content_type,
                    content_encoding: input.content_encoding,
                    cache_control: input.cache_control,
                    metadata: input.metadata,
                    encryption,
                },
                parts: BTreeMap::new(),
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

    /// Writes a part.
    pub(super) async fn put_part(&self, mut req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let body = read(req.input.body.take()).await?;
        let sum = claims!(req).check(&body)?;
        let input = req.input;
        faulty!(self, "UploadPart", input.bucket, input.key, {
            let place = (input.bucket.as_str(), input.key.as_str(), input.upload_id.as_str());
            let written = self.store.put_part(place, input.part_number, body, sum.clone())?;
            let mut output = UploadPartOutput { e_tag: Some(etag(&written)), ..Default::default() };
            show_sum!(output, sum);
            Ok(output)
        })
    }

    /// Makes an upload an object.
    pub(super) async fn complete_upload(
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
                e_tag: Some(etag(&object.etag)),
                checksum_type: Some(checksum_type(&object.sum)),
                bucket: Some(input.bucket),
                key: Some(input.key),
                ..Default::default()
            };
            show_sum!(output, object.sum);
            Ok(output)
        })
    }

    /// Gives an upload up.
    pub(super) async fn abort_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = req.input;
        faulty!(self, "AbortMultipartUpload", input.bucket, input.key, {
            self.store.abort_upload(&input.bucket, &input.key, &input.upload_id)?;
            Ok(AbortMultipartUploadOutput::default())
        })
    }
}
