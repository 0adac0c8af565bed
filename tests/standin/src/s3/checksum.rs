//! `ETag`s and checksums.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::{S3Result, TrailingHeaders, s3_error};

/// A checksum algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the algorithm of its name")]
pub enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The algorithm of that name.
    ///
    /// # Errors
    /// `InvalidRequest` for another name.
    pub fn named(name: &str) -> S3Result<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or_else(|| s3_error!(InvalidRequest, "Checksum algorithm provided is unsupported."))
    }

    /// Its name, as `x-amz-checksum-algorithm` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    fn header(self) -> String {
        format!("x-amz-checksum-{}", self.name().to_ascii_lowercase())
    }

    /// The raw checksum.
    pub fn of(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Crc32 => Crc32::checksum(data).to_vec(),
            Self::Crc32c => Crc32c::checksum(data).to_vec(),
            Self::Crc64Nvme => Crc64Nvme::checksum(data).to_vec(),
            Self::Sha1 => Sha1::checksum(data).as_ref().to_vec(),
            Self::Sha256 => Sha256::checksum(data).as_ref().to_vec(),
        }
    }
}

/// A checksum in base64, with `-parts` behind it when it is composite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// Algorithm.
    pub algorithm: Algorithm,
    /// Value.
    pub value: String,
}

impl Sum {
    /// The checksum of some bytes.
    pub fn of(algorithm: Algorithm, data: &[u8]) -> Self {
        Self { algorithm, value: BASE64.encode(algorithm.of(data)) }
    }

    /// The checksum of a multipart object over its parts' checksums.
    pub fn composite(algorithm: Algorithm, parts: &[&Sum]) -> Self {
        let joined: Vec<u8> = parts.iter().flat_map(|part| BASE64.decode(&part.value).unwrap_or_default()).collect();
        Self { algorithm, value: format!("{}-{}", BASE64.encode(algorithm.of(&joined)), parts.len()) }
    }

    /// Whether it is over checksums of parts.
    pub fn is_composite(&self) -> bool {
        self.value.contains('-')
    }
}

/// MD5 in hexadecimal: the `ETag` of a plain object or part.
pub fn md5_hex(data: &[u8]) -> String {
    hex(Md5::checksum(data).as_ref())
}

/// The `ETag` of a multipart object: MD5 over its parts' MD5s.
pub fn multipart_etag(parts: &[&str]) -> String {
    let joined: Vec<u8> = parts.iter().flat_map(|etag| unhex(etag)).collect();
    format!("{}-{}", md5_hex(&joined), parts.len())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// What a client claims about a body it sends.
#[derive(Debug, Default)]
pub struct Claims {
    /// Checksums in headers.
    pub sums: Vec<(Algorithm, Option<String>)>,
    /// `x-amz-sdk-checksum-algorithm`.
    pub algorithm: Option<String>,
    /// `Content-MD5`.
    pub md5: Option<String>,
    /// `Content-Length` of the decoded body.
    pub length: Option<i64>,
    /// Trailers, readable once the body was.
    pub trailers: Option<TrailingHeaders>,
}

impl Claims {
    /// Holds a body against all claims, and gives the checksum to keep.
    ///
    /// # Errors
    /// `BadDigest`, `InvalidDigest`, `IncompleteBody` or `InvalidRequest`.
    pub fn check(self, body: &[u8]) -> S3Result<Sum> {
        if self.length.is_some_and(|length| usize::try_from(length) != Ok(body.len())) {
            return Err(s3_error!(
                IncompleteBody,
                "You did not provide the number of bytes specified by the Content-Length HTTP header."
            ));
        }
        if let Some(md5) = &self.md5 {
            let claimed = BASE64
                .decode(md5)
                .ok()
                .filter(|digest| digest.len() == 16)
                .ok_or_else(|| s3_error!(InvalidDigest, "The Content-MD5 you specified was invalid."))?;
            if hex(&claimed) != md5_hex(body) {
                return Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received."));
            }
        }
        let mut sent: Vec<Sum> = self
            .sums
            .into_iter()
            .filter_map(|(algorithm, value)| value.map(|value| Sum { algorithm, value }))
            .collect();
        if let Some(trailers) = &self.trailers {
            sent.extend(Algorithm::ALL.into_iter().filter_map(|algorithm| {
                let value = trailers.read(|headers| {
                    headers.get(algorithm.header()).and_then(|value| value.to_str().ok()).map(str::to_owned)
                })??;
                Some(Sum { algorithm, value })
            }));
        }
        match sent.as_slice() {
            [] if self.algorithm.is_some() => Err(s3_error!(
                InvalidRequest,
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer \
                 headers were found."
            )),
            [] => Ok(Sum::of(Algorithm::Crc64Nvme, body)),
            [sum] if *sum == Sum::of(sum.algorithm, body) => Ok(sum.clone()),
            [sum] => Err(s3_error!(
                BadDigest,
                "The {} you specified did not match the calculated checksum.",
                sum.algorithm.name()
            )),
            _ => Err(s3_error!(InvalidRequest, "Expecting a single x-amz-checksum- header.")),
        }
    }
}
