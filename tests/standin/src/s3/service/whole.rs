//! An object's bytes on their way to whoever reads it, spoilt where a test wants that.

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream;
use s3s::dto::{GetObjectInput, GetObjectOutput, StreamingBlob};
use s3s::{Body, S3Request, S3Response, S3Result, s3_error};

use super::{Service, check_read, checksum_type, etag, show_sum};
use crate::s3::access::hide_absence;
use crate::s3::checksum::{Algorithm, Sum};
use crate::s3::fault::{Fault, Operation, Spoilt};

impl Service {
    /// An object, or a range of it.
    pub(super) async fn give_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let (input, extensions) = (req.input, req.extensions);
        let operation = Operation { name: "GetObject", bucket: &input.bucket, key: &input.key };
        self.strike(&operation, false).await?;
        let mut given = hide_absence(self.look_up(&input), &extensions);
        match (self.store.fault(&operation, true), &mut given) {
            (Fault::Body(spoilt), Ok((output, body))) => spoil(output, body, spoilt),
            (fault, _) => Self::suffer(fault).await?,
        }
        given.map(|(mut output, body)| {
            output.body.get_or_insert_with(|| StreamingBlob::from(Body::from(body)));
            S3Response::new(output)
        })
    }

    /// The answer, and the bytes that go with it.
    fn look_up(&self, input: &GetObjectInput) -> S3Result<(GetObjectOutput, Bytes)> {
        let object = self.store.get(&input.bucket, &input.key)?;
        check_read(&object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let length = object.body.len() as u64;
        let range = match &input.range {
            None => None,
            Some(range) => Some(
                range.check(length).map_err(|_| s3_error!(InvalidRange, "The requested range is not satisfiable"))?,
            ),
        };
        let part = range.clone().unwrap_or(0..length);
        let body = object.body.slice(to_index(part.start)..to_index(part.end));
        let mut output = GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: i64::try_from(body.len()).ok(),
            content_range: range.map(|range| format!("bytes {}-{}/{length}", range.start, range.end - 1)),
            e_tag: Some(etag(&object.etag)),
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
        Ok((output, body))
    }
}

/// Spoils an answer.
fn spoil(output: &mut GetObjectOutput, body: &mut Bytes, spoilt: Spoilt) {
    let begun = |bytes: usize| stream::iter([Ok(body.slice(..bytes.min(body.len())))]);
    match spoilt {
        Spoilt::Cut(bytes) => {
            // The server sends what it has only once it must wait for more.
            let cut = stream::once(async {
                tokio::task::yield_now().await;
                Err(std::io::Error::other("cut on purpose"))
            });
            output.body = Some(StreamingBlob::wrap(begun(bytes).chain(cut)));
        }
        Spoilt::Stalled(bytes) => {
            let nothing = stream::pending::<std::io::Result<Bytes>>();
            output.body = Some(StreamingBlob::wrap(begun(bytes).chain(nothing)));
        }
        Spoilt::Flipped(at) => flip(body, at),
        Spoilt::FlippedUnseen(at) => {
            (output.checksum_crc32, output.checksum_crc32c, output.checksum_crc64nvme) = (None, None, None);
            (output.checksum_sha1, output.checksum_sha256, output.checksum_type) = (None, None, None);
            flip(body, at);
        }
        Spoilt::WrongSum => {
            let other = |was: &Option<String>, algorithm| was.as_ref().map(|_| Sum::of(algorithm, b"another").value);
            output.checksum_crc32 = other(&output.checksum_crc32, Algorithm::Crc32);
            output.checksum_crc32c = other(&output.checksum_crc32c, Algorithm::Crc32c);
            output.checksum_crc64nvme = other(&output.checksum_crc64nvme, Algorithm::Crc64Nvme);
            output.checksum_sha1 = other(&output.checksum_sha1, Algorithm::Sha1);
            output.checksum_sha256 = other(&output.checksum_sha256, Algorithm::Sha256);
        }
    }
}

fn flip(body: &mut Bytes, at: usize) {
    let mut bytes = body.to_vec();
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1;
    }
    *body = bytes.into();
}

fn to_index(place: u64) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}
