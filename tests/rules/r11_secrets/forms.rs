//! The forms in which a program gives bytes away: as they are, escaped, encoded, listed, or as a protocol hides them.

use std::collections::BTreeSet;
use std::fmt::Write;

use sha2::{Digest, Sha256};

/// All forms of a secret that could be recognised by whoever reads them.
fn forms(secret: &str) -> BTreeSet<String> {
    let plain = secret.as_bytes().to_vec();
    let wide: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let hidden = wide.iter().map(|byte| byte.rotate_left(4) ^ 0xA5).collect();
    let mut forms = BTreeSet::from([secret.to_owned()]);
    for bytes in [plain, wide, hidden] {
        forms.extend(of_bytes(&bytes));
    }
    forms.extend(as_text(secret));
    forms
}

/// Bytes as lists, digits and base64.
fn of_bytes(bytes: &[u8]) -> Vec<String> {
    let listed = bytes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let digits = bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let escaped: String = bytes.iter().map(|byte| byte.escape_ascii().to_string()).collect();
    let spaced = listed.replace(", ", ",");
    let mut forms = vec![listed, spaced, digits.to_uppercase(), digits, escaped.replace("\\x", "\\\\x"), escaped];
    // In the middle of other bytes base64 looks otherwise, by how many came before.
    for skip in 0..3 {
        let text = base64(&bytes[skip.min(bytes.len())..]);
        forms.push(text.replace('+', "-").replace('/', "_"));
        forms.push(text);
    }
    forms
}

/// A text escaped for JSON, for a URL, and as Rust's debug output has it; once, and within another text.
fn as_text(text: &str) -> Vec<String> {
    let json = |text: &str| serde_json::Value::from(text).to_string();
    let bare = |text: String| text[1..text.len() - 1].to_owned();
    let percent = |kept: &str| {
        text.bytes().fold(String::new(), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) {
                out.push(char::from(byte));
            } else {
                let _ = write!(out, "%{byte:02X}");
            }
            out
        })
    };
    let ascii = text.chars().fold(String::new(), |mut out, character| {
        if character.is_ascii() {
            out.push(character);
        } else {
            let _ = write!(out, "\\u{:04x}", u32::from(character));
        }
        out
    });
    let debug = bare(format!("{text:?}"));
    let once = bare(json(text));
    let urls = [percent("-_.~"), percent("-_.~/"), percent("-_.~!$&'()*+,;=:@/?"), percent("")];
    let lower = urls.clone().map(|url| url.to_lowercase());
    let mut forms = vec![bare(json(&once)), bare(json(&debug)), once, debug, text.escape_default().to_string(), ascii];
    forms.extend(urls);
    // A URL of nothing to escape, in small letters, is another text.
    forms.extend(lower.into_iter().filter(|url| url.contains('%')));
    forms
}

/// Base64 without its last, incomplete group.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letters = bytes.chunks_exact(3).flat_map(|three| {
        let all = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        [18, 12, 6, 0].map(|shift| char::from(LETTERS[(all >> shift & 63) as usize]))
    });
    letters.collect()
}

/// HMAC with SHA-256.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = if key.len() > 64 { Sha256::digest(key).to_vec() } else { key.to_vec() };
    block.resize(64, 0);
    let padded = |with: u8| block.iter().map(|byte| byte ^ with).collect::<Vec<_>>();
    let inner = Sha256::digest([padded(0x36), text.to_vec()].concat());
    Sha256::digest([padded(0x5C), inner.to_vec()].concat()).to_vec()
}

/// The keys of a day that AWS signatures are made with: each is as good as the secret while the day lasts.
fn signing_keys(secret: &str, day: &str) -> Vec<Vec<u8>> {
    let mut keys = vec![hmac(format!("AWS4{secret}").as_bytes(), day.as_bytes())];
    for step in ["us-east-1", "s3", "aws4_request"] {
        keys.push(hmac(keys.last().map_or(&[], Vec::as_slice), step.as_bytes()));
    }
    keys
}

/// Fails if a text holds a secret in any form, or a key that is made of it.
pub fn expect_none<'a>(place: &str, text: &[u8], secrets: impl Iterator<Item = &'a str>) -> anyhow::Result<()> {
    let text = String::from_utf8_lossy(text);
    let now = chrono::Utc::now();
    let days = [now, now - chrono::TimeDelta::hours(1)].map(|time| time.format("%Y%m%d").to_string());
    for secret in secrets {
        let keys = days.iter().flat_map(|day| signing_keys(secret, day));
        let keys = keys.flat_map(|key| of_bytes(&key));
        // A form shorter than this would be found anywhere.
        for form in forms(secret).into_iter().chain(keys).filter(|form| form.len() > 7) {
            if let Some(at) = text.find(&form) {
                let around: String = text[..at].chars().rev().take(300).collect();
                let around: String = around.chars().rev().collect();
                anyhow::bail!("{place} holds '{secret}' as {form} after: {around}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_form_is_seen_through() {
    let seen = forms("abc\"1/é");
    for form in [
        "97, 98, 99, 34, 49, 47, 195, 169",
        "97,98,99,34,49,47,195,169",
        "179, 165, 131, 165, 147, 165",
        "6162632231",
        "YWJjIjEv",
        "YmMiMS/D",
        "Yyi",
        "abc%221%2F%C3%A9",
        "abc\\\"1/é",
        "abc\"1/\\u00e9",
        "abc\\\"1/\\u{e9}",
        "a\\x00b\\x00c\\x00",
    ] {
        assert!(seen.iter().any(|seen| seen.contains(form.trim_end_matches('i'))), "{form} is not among {seen:?}");
    }
    let secret = "Some-Secret";
    let holds = |text: &str| expect_none("a text", text.as_bytes(), std::iter::once(secret)).is_err();
    assert!(holds("xx Some-Secret xx") && holds("xx U29tZS1TZWNy xx") && !holds("some secret"));
}

/// The example of Amazon's documentation.
#[test]
fn a_signing_key_is_made_as_amazon_makes_it() {
    let mut keys = vec![hmac(b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", b"20150830")];
    for step in ["us-east-1", "iam", "aws4_request"] {
        keys.push(hmac(keys.last().unwrap(), step.as_bytes()));
    }
    let last = of_bytes(keys.last().unwrap());
    assert!(last.contains(&"c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9".to_owned()), "{last:?}");
}
