//! What is masked, and what is not.

use proptest::prelude::{ProptestConfig, prop_assert, proptest};

use super::*;
use crate::{
    model::{
        content::{Held, Keep},
        wire::WireRecord,
    },
    wire::{Chunk, Direction, Opened, Piece, Transport, Wire},
};

fn text(text: &str) -> Text {
    let (part, text) = (Part::Prompts, text.to_owned());
    Text { part, role: None, tool: None, text, left_out: 0, masked: 0, is_broken: false }
}

fn shown(said: &str) -> String {
    let mut text = text(said);
    mask_text(&mut text, usize::MAX, &[config::Regex::new("hunter[0-9]").unwrap()]);
    text.text
}

#[test]
fn secrets_are_masked_and_nothing_else() {
    for (said, masked) in [
        ("use sk-ant-api03-abc_DEF, please", "use [masked], please"),
        ("ghp_0123456789 and github_pat_11ABC_def", "[masked] and [masked]"),
        ("key AKIAIOSFODNN7EXAMPLE.", "key [masked]."),
        ("xoxb-123-456-abc AIzaSyA-1234567890", "[masked] [masked]"),
        ("eyJhbGciOi.eyJzdWIi.c2ln!", "[masked]!"),
        ("curl -H 'Authorization: Bearer abc.def'", "curl -H 'Authorization: [masked]'"),
        ("a Bearer abc.def, b", "a Bearer [masked], b"),
        ("Authorization: Basic dXNlcjpwYXNz\nHost: x", "Authorization: [masked]\nHost: x"),
        ("password=hunter2 or password: a;b", "password=[masked] or password: [masked]"),
        ("DB_PASSWORD=Tr0ub4dor&3 x", "DB_PASSWORD=[masked] x"),
        ("h?token=ab&n=1", "h?token=[masked]&n=1"),
        (r#"{"token":ab<c>,"n":1}"#, r#"{"token":[masked],"n":1}"#),
        (r#"{"api_key": "a b\" c", "n": 1}"#, r#"{"api_key": "[masked]", "n": 1}"#),
        (r#"{\"password\": \"x y\"}"#, r#"{\"password\": \"[masked]\"}"#),
        (r#"{\"password\": \"ab\\\"cd\", \"n\": 1}"#, r#"{\"password\": \"[masked]\", \"n\": 1}"#),
        (r#"{\"password\": \"ab\\\\\", \"n\": 1}"#, r#"{\"password\": \"[masked]\", \"n\": 1}"#),
        (r"Bearer abcd\/rest, https:\/\/u:p\/q@h", r"Bearer [masked], https:\/\/u:[masked]@h"),
        ("mysql --password x --host db", "mysql --password [masked] --host db"),
        ("postgres://u:p@ss@h/db", "postgres://u:[masked]@h/db"),
        ("Cookie: a=b; c=d\nnext", "Cookie: [masked]\nnext"),
        ("a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b", "a [masked] b"),
        ("a -----BEGIN PRIVATE KEY-----\nMIIE", "a [masked]"),
        ("MIIE\n-----END PRIVATE KEY----- b", "[masked] b"),
        (
            "MIIE\n-----END PRIVATE KEY----- b -----BEGIN PRIVATE KEY-----\nMIIF\n-----END PRIVATE KEY----- c",
            "[masked] b [masked] c",
        ),
        ("data/Zm9vYmFyQmF6UXV4MTIzNDU2Nzg5MGFiY2RlZg/blobs", "data/[masked]/blobs"),
        ("it is wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY.", "it is [masked]."),
        ("/keys/wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "/keys/[masked]"),
        ("Xq3/9fKd0PzL2+uVb7Rw/Ty5Nc8Hg1Jm4Se6QaZxAo=", "[masked]="),
        ("my hunter2 is hunter", "my [masked] is hunter"),
    ] {
        assert_eq!(shown(said), masked, "{said}");
    }
    for said in [
        "The quick brown fox, at 10:30, says: no.",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----\nbehind",
        r#"{"path": "/src/main.rs", "max_tokens": 100}"#,
        "https://example.com:8443/a@b",
        "tokens are counted; the token count is 5",
    ] {
        assert_eq!(shown(said), said, "{said}");
    }
}

#[test]
fn what_code_assigns_is_masked() {
    for (said, masked) in [
        (r#"password := "hunter two""#, r#"password := "[masked]""#),
        (r#"if password == "hunter two" {"#, r#"if password == "[masked]" {"#),
        (r#"if (token !== 'x y')"#, "if (token !== '[masked]')"),
        (r#"password: str = "x y""#, r#"password: str = "[masked]""#),
        (r#"password: Dict[str, str] = "x y""#, r#"password: Dict[str, str] = "[masked]""#),
        (r#"const apiKey: string = "x y";"#, r#"const apiKey: string = "[masked]";"#),
        (r#"let token: &str = "x y";"#, r#"let token: &str = "[masked]";"#),
        (r#"let token: &'static str = "x y";"#, r#"let token: &'static str = "[masked]";"#),
        (
            r#"let token: Option<String> = Some("x y".into())"#,
            r#"let token: Option<String> = Some("[masked]".into())"#,
        ),
        (r#"let token: Key = Key::from("x y")"#, r#"let token: [masked] = Key::from("[masked]")"#),
        (r#"var password string = "x y""#, r#"var password string = "[masked]""#),
        (r#"char password[16] = "x y";"#, r#"char password[16] = "[masked]";"#),
        (r#"config["password"] = "x y""#, r#"config["password"] = "[masked]""#),
        (r#":password => "x y""#, r#":password => "[masked]""#),
        ("const secret =\n    `x y`;", "const secret =\n    `[masked]`;"),
        (r#"password = b"x y""#, r#"password = b"[masked]""#),
        (r#"secret = "x y" + "z w""#, r#"secret = "[masked]" + "[masked]""#),
        (r#"token = """x "y" z""" w"#, r#"token = """[masked]""" w"#),
        (r#"api_keys = ["x y", "z"], n = "1""#, r#"api_keys = ["[masked]", "[masked]"], n = "1""#),
        (r#"key = os.getenv("API_KEY", "x y")"#, r#"key = os.getenv("API_KEY", "[masked]")"#),
        (r"export SECRET='it'\''s x' y", "export SECRET='[masked]' y"),
        (r#"PASSWORD=a"b c" d"#, r#"PASSWORD=[masked]"[masked]" d"#),
        (r#"key_file: "/x y password=z""#, r#"key_file: "[masked]""#),
        ("key_file=/x;password=z", "key_file=/x;password=[masked]"),
        ("PASSWORD={x9", "PASSWORD=[masked]"),
        ("f(next, token = next_token())", "f(next, token = [masked])"),
        ("DB_PASSWORD: ${DB_PASSWORD:-x9}", "DB_PASSWORD: [masked]"),
        (r#"{"args":["--token","x y","--n","1"]}"#, r#"{"args":["--token","[masked]","--n","1"]}"#),
        (
            "- name: API_KEY\n  value: x9\n- name: A\n  value: b",
            "- name: API_KEY\n  value: [masked]\n- name: A\n  value: b",
        ),
        (r#"{"name":"API_KEY","value":"x y"}"#, r#"{"name":"API_KEY","value":"[masked]"}"#),
    ] {
        assert_eq!(shown(said), masked, "{said}");
    }
    for said in [
        "fn log_in(user: &str, password: &str) -> Result<Token> {",
        "def log_in(user: str, password: str) -> str:\n    \"\"\"Logs in.\"\"\"",
        r#"{"password": {"type": "string"}, "tokens": [1, 2], "token": null}"#,
        "use secret::Secret; <li key={item.id}>",
        "fn seal(key: Vec<u8>, iv: [u8; 16])",
        "https://example.com/a/B2c/D3e/F4g/H5i/J6k/L7m/N8o/P9q/R1s",
    ] {
        assert_eq!(shown(said), said, "{said}");
    }
}

#[test]
fn what_a_command_is_given_is_masked() {
    for (said, masked) in [
        (
            r#"{"command": "curl -u admin:pw https://x"}"#,
            r#"{"command": "curl -u admin:[masked] https://x"}"#,
        ),
        (r#"{"command":"curl -u \"admin:p w\" h"}"#, r#"{"command":"curl -u \"admin:[masked]\" h"}"#),
        (
            r#"{"command":"cd x && sshpass -p pw ssh h\nls"}"#,
            r#"{"command":"cd x && sshpass -p [masked] ssh h\nls"}"#,
        ),
        (r#"{"command":"mysql -ppw"}"#, r#"{"command":"mysql -p[masked]"}"#),
        ("$ redis-cli -h db \\\n  -a 'p w' get x", "$ redis-cli -h db \\\n  -a '[masked]' get x"),
        ("bash -c 'mysql -ppw' && ls", "bash -c 'mysql -p[masked]' && ls"),
        ("curl -d \"$(mysql -ppw)\" h", "curl -d \"$(mysql -p[masked])\" h"),
        (
            "docker login -u u -p pw; docker run -p 80:80 x",
            "docker login -u u -p [masked]; docker run -p 80:80 x",
        ),
    ] {
        assert_eq!(shown(said), masked, "{said}");
    }
    for said in ["cat /etc/passwd and see", "curl -fsSL https://x | sh", "zip -r x.zip src"] {
        assert_eq!(shown(said), said, "{said}");
    }
}

/// At this length, what is quadratic takes minutes.
#[test]
fn any_text_takes_time_in_proportion_to_its_length() {
    let length = 200_000;
    for unit in [
        "a=",
        "a: ",
        "a:b=c ",
        "token:",
        "token=\"",
        "tokens='1",
        "key_file=/",
        "\"key\":\"\\\"",
        "key_file:\"/",
        "--token ",
        "curl \"",
        "mysql -p",
        "$(mysql \"",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "a://b:c@",
        "Bearer x",
        "\\/",
        "\\",
        "aB3/",
        ")",
        " … ",
        " … \"",
    ] {
        for prefix in ["", "token="] {
            let said = format!("{prefix}{}", unit.repeat(length / unit.len()));
            let mut text = Text { left_out: 1, is_broken: true, ..text(&said) };
            mask_text(&mut text, usize::MAX, &[]);
            assert!(text.text.len() <= 8 * said.len(), "{unit}");
        }
    }
}

#[test]
fn a_bound_shows_no_half_of_a_secret() {
    let said = "before sk-ant-api03-abcdefghijklmnop after";
    for room in 0..said.len() {
        let mut text = text(said);
        mask_text(&mut text, room, &[]);
        let is_half = |start: usize| text.text.contains(&"sk-ant-api03-abcdefghijklmnop"[start..]);
        assert!(!(0..20).any(is_half) && !text.text.contains("mnop"), "{room}: {}", text.text);
        assert_eq!(text.left_out, (said.len() - room) as u64);
    }
}

#[test]
fn what_was_cut_before_shows_no_half() {
    let mut cut = Text { left_out: 9, is_broken: true, ..text("rest-of-key then some more sk-a") };
    mask_text(&mut cut, 1000, &[]);
    assert_eq!(cut.text, "[masked] more [masked]");
    for (said, masked) in [
        (" … ization: Bearer x.y and so on", " … [masked] and so on"),
        (" … word: \"x y z\" and so on", " … [masked] so on"),
        (" … battery staple\" and so on", " … [masked]\" and so on"),
        ("password: \"x … y z\" and so on", "password: \"[masked]\" and so on"),
        (" … it's said. So it is here", " … [masked] it is here"),
        ("one … 'two three four' five six", "one … [masked] six"),
    ] {
        let mut cut = Text { is_broken: true, ..text(&format!("{said}.\n")) };
        mask_text(&mut cut, 1000, &[]);
        assert_eq!(cut.text, format!("{masked}.\n"), "{said}");
    }
}

#[test]
fn characters_by_their_numbers_hide_nothing() {
    let said = r#"{"k":"\u0073k-ant-api03-abcdef","quote":"\u0022"}"#;
    let mut arguments = Text { part: Part::ToolArguments, ..text(said) };
    mask_text(&mut arguments, 1000, &[]);
    assert_eq!(arguments.text, r#"{"k":"[masked]","quote":"\u0022"}"#);
}

#[test]
fn the_newest_is_kept_of_each_part() {
    let keep = Keep::new(0, &[Part::Prompts], 6);
    let texts =
        vec![text("first"), text("second"), Text { part: Part::Completions, ..text("no") }, text("new")];
    let said = Unmasked { keep, texts, left_out: 2, held: Held::default() };
    let rules = Rules { agents: vec![config::ContentRule::keeping("*")], ..Rules::default() };
    let content = mask(said.clone(), &rules).unwrap();
    let kept: Vec<_> = content.texts.iter().map(|text| (text.text.as_str(), text.left_out)).collect();
    assert_eq!(kept, [("ond", 3), ("new", 0)]);
    assert_eq!(content.left_out, 7);
    assert!(mask(said, &Rules::default()).is_none());
}

/// A key of a well-known shape, a private key, a password of several words, an assigned one, a header, and one of AWS's.
const SECRETS: [&str; 6] = [
    "sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789",
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\nq8Zr1T/0bYxWk3Lh7uNs+2PcVe9RfGd4jQmXoA5iHtBzKl6wJyU8pDgEaCn+MvSx\nT0pR7w==\n-----END PRIVATE KEY-----",
    "password: \"correct horse battery staple\"",
    "DB_PASSWORD=Tr0ub4dor&3;x(y)",
    "Authorization: Bearer q7Jd-kW2",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
];

/// What of a secret must not be shown: all but the words around it.
fn core(secret: &str) -> &str {
    let around: &[_] = &['"', '-'];
    let core = ["password: ", "DB_PASSWORD=", "Authorization: Bearer ", "-----BEGIN PRIVATE KEY-----\n"]
        .iter()
        .find_map(|name| secret.strip_prefix(name))
        .unwrap_or(secret);
    core.trim_end_matches("\n-----END PRIVATE KEY-----").trim_matches(around)
}

/// What is kept of a stream that says a secret in pieces, with a hole in it.
fn kept_of_stream(secret: &str, piece: usize, hole: Range<usize>, most: u32) -> String {
    let said = format!("the key is {secret} and so on, and so on");
    let mut stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n".to_owned();
    for piece in said.as_bytes().chunks(piece) {
        let delta = serde_json::json!({ "content": std::str::from_utf8(piece).unwrap() });
        let event = serde_json::json!({ "object": "chat.completion.chunk", "choices": [{ "index": 0, "delta": delta }] });
        stream += &format!("data: {event}\n\n");
    }
    let ask =
        serde_json::json!({ "model": "m", "messages": [{ "role": "user", "content": said }] }).to_string();
    let ask = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{ask}",
        ask.len()
    );
    let keep = Keep::new(0, &Part::ALL, most);
    let mut wire = Wire::default();
    wire.open(Opened { connection: 1, owner: 1, transport: Transport::Stream, keep });
    let mut take = |direction, piece: Piece<'_>| {
        wire.take(&Chunk { connection: 1, direction, offset: None, at_ns: 1, piece });
    };
    take(Direction::Sent, Piece::Bytes(ask.as_bytes()));
    let bytes = stream.as_bytes();
    let (from, to) = (hole.start.min(bytes.len()), hole.end.min(bytes.len()));
    take(Direction::Received, Piece::Bytes(&bytes[..from]));
    if from < to {
        take(Direction::Received, Piece::Gap(Some((to - from) as u64)));
    }
    take(Direction::Received, Piece::Bytes(&bytes[to..]));
    wire.close(1, 2);
    let rules = Rules { agents: vec![config::ContentRule::keeping("*")], ..Rules::default() };
    let said = wire.records().into_iter().filter_map(|record| match record {
        WireRecord::Llm(call) => call.said,
        _ => None,
    });
    let texts = said.filter_map(|said| mask(*said, &rules)).flat_map(|content| content.texts);
    texts.map(|text| format!("{}: {}\n", text.part.name(), text.text)).collect()
}

#[test]
fn a_secret_in_pieces_is_one() {
    let kept = kept_of_stream(SECRETS[0], 3, 0..0, 1000);
    let said = "the key is [masked] and so on, and so on";
    assert_eq!(kept, format!("prompts: {said}\ncompletions: {said}\n"));
}

#[test]
fn a_hole_hides_nothing_at_the_beginning() {
    let kept = kept_of_stream("nothing", 3, 600..900, 1000);
    assert!(kept.contains("completions: the key "), "{kept}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// Wherever bytes are missing, and wherever the bound is, no part of a secret is kept.
    #[test]
    fn a_hole_bares_no_secret(
        secret in 0..SECRETS.len(),
        piece in 1..20usize,
        (from, length) in (60..24_000usize, 0..4000usize),
        most in 1..300u32,
    ) {
        let secret = SECRETS[secret];
        let kept = kept_of_stream(secret, piece, from..from + length, most);
        for part in core(secret).as_bytes().windows(5) {
            prop_assert!(!kept.contains(std::str::from_utf8(part).unwrap()), "{}", kept);
        }
    }
}
