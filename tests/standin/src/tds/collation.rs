//! Collations on the wire: five bytes, and the code page they imply.

use encoding_rs::{Encoding, WINDOWS_1252};

/// The server's default, and that of columns that name none.
pub const DEFAULT: &str = "SQL_Latin1_General_CP1_CI_AS";

/// Language families: prefix of the name, LCID, label of the code page.
const FAMILIES: [(&str, u32, &str); 14] = [
    ("Arabic", 0x0401, "windows-1256"),
    ("Chinese_PRC", 0x0804, "gbk"),
    ("Chinese_Taiwan", 0x0404, "big5"),
    ("Cyrillic_General", 0x0419, "windows-1251"),
    ("Czech", 0x0405, "windows-1250"),
    ("Finnish_Swedish", 0x040B, "windows-1252"),
    ("French", 0x040C, "windows-1252"),
    ("Greek", 0x0408, "windows-1253"),
    ("Hebrew", 0x040D, "windows-1255"),
    ("Japanese", 0x0411, "shift_jis"),
    ("Korean_Wansung", 0x0412, "euc-kr"),
    ("Polish", 0x0415, "windows-1250"),
    ("Thai", 0x041E, "windows-874"),
    ("Turkish", 0x041F, "windows-1254"),
];

/// A collation as the protocol writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collation {
    /// LCID, flags, version, sort id.
    pub bytes: [u8; 5],
    /// How `char` and `varchar` are encoded.
    pub encoding: &'static Encoding,
}

impl Collation {
    /// The collation of that name.
    pub fn named(name: &str) -> Self {
        let has = |part: &str| name.split('_').any(|word| word.eq_ignore_ascii_case(part));
        let family = FAMILIES.iter().find(|(prefix, ..)| name.starts_with(prefix));
        let lcid = family.map_or(0x0409, |(_, lcid, _)| *lcid);
        let utf8 = has("UTF8");
        let mut flags = 0u32;
        if has("BIN2") {
            flags |= 0x20;
        } else if has("BIN") {
            flags |= 0x10;
        } else {
            flags |= u32::from(has("CI"));
            flags |= u32::from(has("AI")) << 1;
            flags |= u32::from(!has("KS")) << 2;
            flags |= u32::from(!has("WS")) << 3;
        }
        flags |= u32::from(utf8) << 6;
        let version = if has("140") {
            3
        } else if has("100") {
            2
        } else {
            u32::from(has("90"))
        };
        let word = lcid | flags << 20 | version << 28;
        let sort = match name {
            "SQL_Latin1_General_CP1_CS_AS" => 51,
            "SQL_Latin1_General_CP1_CI_AS" => 52,
            "SQL_Latin1_General_CP1_CI_AI" => 54,
            _ => 0,
        };
        let [a, b, c, d] = word.to_le_bytes();
        let page = family.and_then(|(.., label)| Encoding::for_label(label.as_bytes())).unwrap_or(WINDOWS_1252);
        Self { bytes: [a, b, c, d, sort], encoding: if utf8 { encoding_rs::UTF_8 } else { page } }
    }

    /// The collation that a client sent with a parameter.
    pub fn from_bytes(bytes: [u8; 5]) -> Self {
        let word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let lcid = word & 0xF_FFFF;
        let page = FAMILIES
            .iter()
            .find(|(_, known, _)| *known == lcid)
            .and_then(|(.., label)| Encoding::for_label(label.as_bytes()))
            .unwrap_or(WINDOWS_1252);
        Self { bytes, encoding: if word >> 26 & 1 == 1 { encoding_rs::UTF_8 } else { page } }
    }

    /// Appends text in the collation's code page; a character it lacks becomes `?`, as on the server.
    pub fn encode(&self, text: &str, out: &mut Vec<u8>) {
        if text.is_ascii() || self.encoding == encoding_rs::UTF_8 {
            out.extend_from_slice(text.as_bytes());
            return;
        }
        let mut rest = text;
        let mut encoder = self.encoding.new_encoder();
        loop {
            let needed = encoder.max_buffer_length_from_utf8_without_replacement(rest.len()).unwrap_or(rest.len() * 4);
            let start = out.len();
            out.resize(start + needed.max(4), 0);
            let (result, read, written) = encoder.encode_from_utf8_without_replacement(rest, &mut out[start..], true);
            out.truncate(start + written);
            rest = &rest[read..];
            match result {
                encoding_rs::EncoderResult::InputEmpty => return,
                encoding_rs::EncoderResult::Unmappable(_) => out.push(b'?'),
                encoding_rs::EncoderResult::OutputFull => {}
            }
        }
    }

    /// Text from the collation's code page.
    pub fn decode(&self, bytes: &[u8]) -> String {
        self.encoding.decode_without_bom_handling(bytes).0.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_collations_have_the_server_s_bytes() {
        assert_eq!(Collation::named(DEFAULT).bytes, [0x09, 0x04, 0xD0, 0x00, 0x34]);
        assert_eq!(Collation::named("Latin1_General_100_CI_AS_SC_UTF8").bytes, [0x09, 0x04, 0xD0, 0x24, 0x00]);
        assert_eq!(Collation::named("Latin1_General_BIN2").bytes, [0x09, 0x04, 0x00, 0x02, 0x00]);
        assert_eq!(Collation::named("Latin1_General_CS_AS").bytes, [0x09, 0x04, 0xC0, 0x00, 0x00]);
    }

    #[test]
    fn characters_outside_the_code_page_become_question_marks() {
        let mut out = Vec::new();
        Collation::named(DEFAULT).encode("é€Ω𝄞x", &mut out);
        assert_eq!(out, [0xE9, 0x80, b'?', b'?', b'x']);
        assert_eq!(Collation::named(DEFAULT).decode(&[0xE9, 0x80]), "é€");
    }
}
