//! A message as an e-mail: plain text in UTF-8. The same message is the same mail at every try, with the same
//! `Message-ID`, and those of a group are one thread.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::alert::channel::{message::Message, text::Rendered};

/// Bytes of a header's text that one encoded word holds: 60 characters of base64 (RFC 2047 allows 75 in all).
const WORD: usize = 45;
/// Characters of a line of the body.
const LINE: usize = 76;
/// The longest address, bytes (RFC 5321).
const MAX_ADDRESS: usize = 254;

/// # Errors
/// It is no address that could stand in a command or a header.
pub(super) fn check_address(address: &str) -> Result<(), String> {
    let wrong = || Err(format!("{address:?} is no address such as name@example.org"));
    let Some((name, host)) = address.rsplit_once('@') else { return wrong() };
    let odd = |c: char| !c.is_ascii_graphic() || "<>()[],;:\\\"@".contains(c);
    if name.is_empty()
        || host.is_empty()
        || address.len() > MAX_ADDRESS
        || name.contains(odd)
        || host.contains(odd)
    {
        return wrong();
    }
    Ok(())
}

/// The mail: headers, an empty line, the body; lines end in CR LF.
pub(super) fn mail(message: &Message, rendered: &Rendered, from: &str, to: &[String]) -> String {
    let told = &message.notification;
    let host = from.rsplit_once('@').map_or("localhost", |(_, host)| host);
    let date = jiff::Timestamp::from_millisecond(told.made_at).unwrap_or_default();
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_string(&date).unwrap_or_default();
    let mut mail = String::new();
    for (name, value) in [
        ("From", from.to_owned()),
        ("To", to.join(",\r\n ")),
        ("Subject", words(&rendered.title)),
        ("Date", date),
        ("Message-ID", format!("<{}@{host}>", told.id)),
        ("References", format!("<{}@{host}>", told.group)),
        ("Auto-Submitted", "auto-generated".to_owned()),
        ("X-Agentperf-Severity", told.severity.name().to_owned()),
        ("MIME-Version", "1.0".to_owned()),
        ("Content-Type", "text/plain; charset=utf-8".to_owned()),
        ("Content-Transfer-Encoding", "base64".to_owned()),
    ] {
        mail.push_str(&format!("{name}: {value}\r\n"));
    }
    mail.push_str("\r\n");
    let body = STANDARD.encode(rendered.plain().replace('\n', "\r\n"));
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(LINE).unwrap_or((rest, ""));
        mail.push_str(line);
        mail.push_str("\r\n");
        rest = after;
    }
    mail
}

/// A header's text as encoded words, whole characters in each. What is plain and short stays as it is.
fn words(text: &str) -> String {
    if text.len() <= WORD && text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) && !text.contains("=?") {
        return text.to_owned();
    }
    let mut words = vec![String::new()];
    for c in text.chars() {
        match words.last_mut() {
            Some(word) if word.len() + c.len_utf8() <= WORD => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    let words: Vec<String> =
        words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word))).collect();
    words.join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::{check_address, words};

    #[test]
    fn what_could_end_a_command_is_no_address() {
        check_address("on-call+a@example.org").unwrap();
        for address in ["", "a", "@b", "a@", "a@b>\r\nRCPT TO:<c@d", "a b@c", "a@b@c", "ä@b", "<a@b>"] {
            assert!(check_address(address).is_err(), "{address}");
        }
    }

    #[test]
    fn titles_are_encoded_word_by_word() {
        assert_eq!(words("[FIRING:1] CpuHigh"), "[FIRING:1] CpuHigh");
        assert_eq!(words("ä"), "=?utf-8?B?w6Q=?=");
        let long = words(&"ä".repeat(50));
        assert!(long.split("\r\n ").all(|word| word.len() <= 75), "{long}");
        assert!(!words("a\r\nBcc: x@y").contains("Bcc"));
    }
}
