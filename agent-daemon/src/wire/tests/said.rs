//! What is said in recordings: found where it is kept, the same however the bytes come, and nowhere else.

use proptest::{
    prelude::{ProptestConfig, any, prop_assert_eq, proptest},
    sample::Index,
};

use super::recording::{NAMES, Recording};
use crate::{
    model::{
        content::{Keep, Part, Unmasked},
        wire::WireRecord,
    },
    wire::Piece,
};

fn said(records: Vec<WireRecord>) -> Vec<Option<Box<Unmasked>>> {
    let of = |record| match record {
        WireRecord::Llm(call) => Some(call.said),
        WireRecord::Mcp(call) => Some(call.said),
        WireRecord::Http(_) => None,
    };
    records.into_iter().filter_map(of).collect()
}

/// The texts of a part, one behind the other.
fn texts(said: &[Option<Box<Unmasked>>], part: Part) -> String {
    let texts = said.iter().flatten().flat_map(|said| &said.texts).filter(|text| text.part == part);
    texts.map(|text| format!("{}\n", text.text)).collect()
}

#[test]
fn what_is_planted_is_found_where_it_is_kept() {
    let keep = Keep::new(0, &Part::ALL, 1 << 16);
    for name in NAMES {
        let said = said(Recording::read(name).kept(keep).replay());
        let [prompts, completions, arguments] = Part::ALL.map(|part| texts(&said, part));
        let is_mcp = name.starts_with("mcp");
        assert!(is_mcp || prompts.contains("PLANTED-PROMPT"), "{name}: {prompts}");
        let has_answers = !is_mcp && name != "openai_drop";
        assert!(!has_answers || completions.contains("PLANTED-COMPLETION"), "{name}: {completions}");
        let has_arguments =
            is_mcp || ["openai_chat", "anthropic_messages", "gemini", "bedrock"].contains(&name);
        assert!(!has_arguments || arguments.contains("PLANTED-ARGUMENT"), "{name}: {arguments}");
        for text in [&prompts, &completions, &arguments] {
            assert!(!text.contains("PLANTED-KEY") && !text.contains("PLANTED-HEADER"), "{name}: {text}");
        }
    }
}

#[test]
fn what_is_not_kept_is_not_taken() {
    for name in NAMES {
        assert!(said(Recording::read(name).replay()).iter().all(Option::is_none), "{name}");
        for part in Part::ALL {
            let said = said(Recording::read(name).kept(Keep::new(0, &[part], 4096)).replay());
            let mut texts = said.iter().flatten().flat_map(|said| &said.texts);
            assert!(texts.all(|text| text.part == part), "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// However the bytes come in pieces.
    #[test]
    fn any_split_says_the_same(name in any::<Index>(), size in 1..40usize, most in 64..20_000u32) {
        let keep = Keep::new(0, &Part::ALL, most);
        let recording = Recording::read(NAMES[name.index(NAMES.len())]).kept(keep);
        let split = recording.replay_parts(|_, bytes| bytes.chunks(size).map(Piece::Bytes).collect());
        prop_assert_eq!(said(split), said(recording.replay()));
    }
}
