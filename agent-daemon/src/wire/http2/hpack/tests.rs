//! The RFC's own examples (appendix C), and tables of which a part was missed.

use proptest::prelude::{any, proptest};

use super::{Decoder, Header, huffman};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().filter(|c| !c.is_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
}

fn decode(decoder: &mut Decoder, hex: &str) -> Vec<String> {
    let mut headers = Vec::new();
    decoder
        .decode(&bytes(hex), &mut |header| {
            headers.push(match header {
                Header::Known(name, value) => {
                    format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
                }
                Header::Unknown => "unknown".to_owned(),
            })
        })
        .unwrap();
    headers
}

const FIRST: &str = "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff";
const SECOND: &str = "8286 84be 5886 a8eb 1064 9cbf";

#[test]
fn requests_of_the_rfc_are_decoded_with_its_table() {
    let mut decoder = Decoder::default();
    let first = decode(&mut decoder, FIRST);
    assert_eq!(first, [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"]);
    // What nobody reads has no value.
    assert_eq!(decode(&mut decoder, SECOND)[3..], [":authority: www.example.com", "cache-control: "]);
    let third = decode(&mut decoder, "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf");
    assert_eq!(third[3..], [":authority: www.example.com", "custom-key: "]);
}

#[test]
fn who_comes_late_knows_what_was_added_since() {
    let mut late = Decoder::late();
    assert_eq!(decode(&mut late, SECOND)[3..], ["unknown", "cache-control: "]);
    // Since then the entry of cache-control is the newest, and the authority is the one before.
    assert_eq!(decode(&mut late, "bebf"), ["cache-control: ", "unknown"]);
    assert_eq!(decode(&mut late, FIRST).len(), 4);
    assert_eq!(decode(&mut late, "be"), [":authority: www.example.com"]);
    late.lose();
    assert_eq!(decode(&mut late, "be"), ["unknown"]);
}

#[test]
fn an_index_beyond_the_table_is_an_error_for_who_saw_all() {
    assert!(Decoder::default().decode(&[0xbe], &mut |_| {}).is_err());
    assert!(Decoder::default().decode(&[0x80], &mut |_| {}).is_err());
}

#[test]
fn entries_go_when_the_table_is_full() {
    let mut decoder = Decoder::default();
    decode(&mut decoder, FIRST);
    // Of no size, and of the usual one again.
    decode(&mut decoder, "20 3f e1 1f");
    assert!(decoder.decode(&[0xbe], &mut |_| {}).is_err());
}

#[test]
fn huffman_decodes_the_rfcs_strings_and_refuses_others() {
    let text = |hex| huffman::decode(&bytes(hex), 100).map(|text| String::from_utf8(text).unwrap());
    assert_eq!(text("f1e3 c2e5 f23a 6ba0 ab90 f4ff").as_deref(), Some("www.example.com"));
    assert_eq!(
        text("9d29 ad17 1863 c78f 0b97 c8e9 ae82 ae43 d3").as_deref(),
        Some("https://www.example.com")
    );
    assert_eq!(text("ffff ffff"), None);
    assert_eq!(text("00ff ff"), None);
    assert_eq!(huffman::decode(&bytes("f1e3 c2e5 f23a 6ba0 ab90 f4ff"), 5), None);
}

proptest! {
    #[test]
    fn noise_is_survived(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
        for mut decoder in [Decoder::default(), Decoder::late()] {
            let _ = decoder.decode(&noise, &mut |_| {});
            let _ = decoder.decode(&noise, &mut |_| {});
        }
    }
}
