//! Decompression in bounded memory: some of the input in, some of the output out.

use std::io::{self, Write};

use bytes::{BufMut, BytesMut};
use flate2::write::MultiGzDecoder;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use crate::config::Compression;

/// Room for the output of one step.
const ROOM: usize = 128 << 10;

/// Input that gzip takes at a step: its output is at most a thousand times as large.
const SIP: usize = 4 << 10;

/// A part being decompressed.
pub enum Unpacker {
    /// Zstandard: the decoder, room for its output, and whether a frame is unfinished.
    Zstd {
        /// Decoder.
        decoder: Decoder<'static>,
        /// Room for its output.
        room: Vec<u8>,
        /// Whether a frame has begun and not ended.
        open: bool,
    },
    /// gzip.
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    /// Plain.
    Plain,
}

impl Unpacker {
    /// An unpacker.
    ///
    /// # Errors
    /// No memory.
    pub fn new(compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::Zstd => Self::Zstd { decoder: Decoder::new()?, room: Vec::with_capacity(ROOM), open: false },
            Compression::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Compression::None => Self::Plain,
        })
    }

    /// Takes some of the input and adds what it gives to `out`; `true` while there is more to come of this input.
    ///
    /// # Errors
    /// The input is not what it should be.
    pub fn step(&mut self, input: &mut &[u8], out: &mut BytesMut) -> io::Result<bool> {
        match self {
            Self::Zstd { decoder, room, open } => {
                if input.is_empty() && !*open {
                    return Ok(false);
                }
                room.clear();
                let mut taken = InBuffer::around(input);
                let mut given = OutBuffer::around(&mut *room);
                *open = decoder.run(&mut taken, &mut given)? != 0;
                let (taken, given) = (taken.pos(), given.pos());
                out.put_slice(&room[..given]);
                *input = &input[taken..];
                Ok(!input.is_empty() || given == room.capacity())
            }
            Self::Gzip(decoder) => {
                let sip = &input[..input.len().min(SIP)];
                if !sip.is_empty() {
                    let taken = decoder.write(sip)?;
                    if taken == 0 {
                        return Err(io::Error::new(io::ErrorKind::InvalidData, "there is something after the end"));
                    }
                    *input = &input[taken..];
                }
                out.put_slice(decoder.get_ref());
                decoder.get_mut().clear();
                Ok(!input.is_empty())
            }
            Self::Plain => {
                out.put_slice(input);
                *input = &[];
                Ok(false)
            }
        }
    }

    /// Ends: adds what is left to `out`.
    ///
    /// # Errors
    /// The input broke off.
    pub fn finish(&mut self, out: &mut BytesMut) -> io::Result<()> {
        match self {
            Self::Zstd { open: true, .. } => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it breaks off")),
            Self::Gzip(decoder) => {
                decoder.try_finish()?;
                out.put_slice(decoder.get_ref());
                decoder.get_mut().clear();
                Ok(())
            }
            Self::Zstd { .. } | Self::Plain => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Compression; 3] = [Compression::Zstd, Compression::Gzip, Compression::None];

    fn pack(compression: Compression, bytes: &[u8]) -> Vec<u8> {
        match compression {
            Compression::Zstd => zstd::encode_all(bytes, 1).unwrap(),
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::None => bytes.to_vec(),
        }
    }

    /// Unpacks chunk by chunk; gives the output, and the most that one step gave.
    fn unpack(compression: Compression, packed: &[u8], chunk: usize) -> io::Result<(Vec<u8>, usize)> {
        let mut unpacker = Unpacker::new(compression)?;
        let (mut all, mut out, mut most) = (Vec::new(), BytesMut::new(), 0);
        for mut input in packed.chunks(chunk) {
            loop {
                let more = unpacker.step(&mut input, &mut out)?;
                most = most.max(out.len());
                all.extend_from_slice(&out.split());
                if !more {
                    break;
                }
            }
        }
        unpacker.finish(&mut out)?;
        all.extend_from_slice(&out);
        Ok((all, most))
    }

    #[test]
    fn what_was_packed_comes_back_whatever_the_chunks() {
        let text: Vec<u8> =
            (0..60_000u32).flat_map(|at| format!("u,{at},\"{}\"\n", at * 7919 % 1000).into_bytes()).collect();
        for compression in ALL {
            for chunk in [1 << 20, 4099, 7] {
                let (all, _) = unpack(compression, &pack(compression, &text), chunk).unwrap();
                assert!(all == text, "{compression:?} in chunks of {chunk}");
            }
            assert_eq!(unpack(compression, &pack(compression, &[]), 10).unwrap().0, b"");
        }
    }

    #[test]
    fn parts_of_several_frames_are_read_to_the_end() {
        for compression in ALL {
            let packed = [pack(compression, b"one\n"), pack(compression, b"two\n")].concat();
            assert_eq!(unpack(compression, &packed, 5).unwrap().0, b"one\ntwo\n", "{compression:?}");
        }
    }

    #[test]
    fn memory_is_bounded_where_little_becomes_much() {
        let zeros = vec![b'0'; 16 << 20];
        for compression in [Compression::Zstd, Compression::Gzip] {
            let (all, most) = unpack(compression, &pack(compression, &zeros), 1 << 20).unwrap();
            assert_eq!(all.len(), zeros.len());
            assert!(most <= 5 << 20, "{compression:?} gave {most} bytes at once");
        }
    }

    #[test]
    fn a_part_that_breaks_off_or_is_no_such_thing_is_refused() {
        for compression in [Compression::Zstd, Compression::Gzip] {
            let packed = pack(compression, b"some rows of text, long enough to be cut anywhere");
            assert!(unpack(compression, &packed[..packed.len() - 1], 8).is_err(), "{compression:?}");
            assert!(unpack(compression, b"plain text, not packed at all", 8).is_err(), "{compression:?}");
        }
    }
}
