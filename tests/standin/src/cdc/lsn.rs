//! Log sequence numbers: their text, their arithmetic, and the end of the log that hands them out.

use std::fmt::Write as _;

/// A log sequence number: 4 bytes VLF, 4 bytes block, 2 bytes slot, big-endian.
pub type Lsn = [u8; 10];

/// The LSN that stands for "none": below every LSN of a log.
pub const ZERO: Lsn = [0; 10];

/// The last that can be written.
pub const LAST: Lsn = [0xFF; 10];

/// The text that SQL Server's messages give an LSN: `0x` and 20 hexadecimal digits.
pub fn text(lsn: &[u8]) -> String {
    let mut text = String::with_capacity(22);
    text.push_str("0x");
    for byte in lsn {
        let _ = write!(text, "{byte:02X}");
    }
    text
}

/// The next LSN value; all ones wraps to zero as `sys.fn_cdc_increment_lsn` does.
pub fn increment(mut lsn: Lsn) -> Lsn {
    for byte in lsn.iter_mut().rev() {
        let (next, carry) = byte.overflowing_add(1);
        *byte = next;
        if !carry {
            break;
        }
    }
    lsn
}

/// The LSN value before.
pub fn decrement(mut lsn: Lsn) -> Lsn {
    for byte in lsn.iter_mut().rev() {
        let (next, borrow) = byte.overflowing_sub(1);
        *byte = next;
        if !borrow {
            break;
        }
    }
    lsn
}

/// A value given where an LSN is asked for, as `binary(10)` takes it: cut or filled with zeros at the right.
pub fn from_bytes(bytes: &[u8]) -> Lsn {
    let mut lsn = ZERO;
    let length = bytes.len().min(lsn.len());
    lsn[..length].copy_from_slice(&bytes[..length]);
    lsn
}

/// Blocks in a virtual log file: 64 MiB of 512-byte sectors.
const BLOCKS_IN_VLF: u32 = 0x2_0000;
/// Records that fit into a log block before the next begins.
const RECORDS_IN_BLOCK: u16 = 120;

/// The end of the log: gives each record the next LSN, with the gaps that a busy log has.
#[derive(Debug, Clone)]
pub struct LogTail {
    vlf: u32,
    block: u32,
    slot: u16,
    noise: u64,
}

impl LogTail {
    /// A log that has seen some use.
    pub fn new() -> Self {
        Self { vlf: 0x27, block: 0x158, slot: 0, noise: 0x9E37_79B9_7F4A_7C15 }
    }

    /// The LSN of the next record of the open block, or of the first in a new block.
    pub fn record(&mut self) -> Lsn {
        if self.slot >= RECORDS_IN_BLOCK {
            self.block_written(8);
        }
        self.slot += 1;
        self.lsn()
    }

    /// Begins a transaction: mostly in a block of its own, sometimes behind another that was flushed with it, and
    /// always a few records on, since the log holds more than row changes.
    pub fn begin(&mut self) {
        let noise = self.noise();
        if noise & 3 != 0 {
            self.block_written(8 * (1 + u32::from(noise.to_be_bytes()[1]) % 12));
        }
        self.slot += 1 + u16::from(noise.to_be_bytes()[2]) % 24;
    }

    fn block_written(&mut self, sectors: u32) {
        self.slot = 0;
        self.block += sectors;
        if self.block >= BLOCKS_IN_VLF {
            self.vlf += 1;
            self.block = 0x10;
        }
    }

    fn lsn(&self) -> Lsn {
        let mut lsn = ZERO;
        lsn[..4].copy_from_slice(&self.vlf.to_be_bytes());
        lsn[4..8].copy_from_slice(&self.block.to_be_bytes());
        lsn[8..].copy_from_slice(&self.slot.to_be_bytes());
        lsn
    }

    /// Gaps from a fixed seed: two runs of the same statements see the same LSNs.
    fn noise(&mut self) -> u64 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        self.noise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_carries_over_bytes() {
        let mut low = ZERO;
        low[9] = 0xFF;
        let high = increment(low);
        assert_eq!(&high[8..], &[1, 0]);
        assert_eq!(decrement(high), low);
        assert_eq!(increment([0xFF; 10]), ZERO);
    }

    #[test]
    fn records_rise_through_blocks_and_files() {
        let mut tail = LogTail::new();
        let mut last = ZERO;
        for index in 0..500_000 {
            if index % 3 == 0 {
                tail.begin();
            }
            let next = tail.record();
            assert!(next > last, "{} after {}", text(&next), text(&last));
            last = next;
        }
        assert!(last[3] > 0x27, "the log never changed its file");
    }
}
