//! What agents say is kept of those of whom the configuration has it, without secrets, and of nobody else.

use std::fs;

use serde_json::{Value, json};

use super::{Client, MARK, Provider, attach, calls};
use crate::support::daemon::Daemon;

/// The key that the client puts into a prompt.
const KEY: &str = "sk-ant-api03-PLANTEDKEY0123456789";

fn content(daemon: &Daemon, agent: &str, query: &str) -> Value {
    daemon.api().get(&format!("/api/v1/agents/{agent}/content{query}")).expect(200).json()
}

/// The texts of a call: part, who or which tool, and what.
fn texts(call: &Value) -> Vec<[&str; 3]> {
    let texts = call["texts"].as_array().unwrap().iter();
    let text = |text| {
        let text: &Value = text;
        let name = text["role"].as_str().or(text["tool"].as_str()).unwrap_or("-");
        [text["part"].as_str().unwrap(), name, text["text"].as_str().unwrap()]
    };
    texts.map(text).collect()
}

/// Two agents of one daemon say the same.
fn both_say(provider: &Provider, daemon: &Daemon) -> [String; 2] {
    let say = |mut client: Client, commands: &[&str]| {
        let agent = attach(daemon, &client);
        commands.iter().for_each(|command| drop(client.call(command)));
        daemon.api().detach(&agent);
        agent
    };
    let kept = say(provider.python(), &["key gpt-4.1", "tool get_weather", "messages claude-sonnet-4"]);
    let other = say(provider.node(), &["chat gpt-4.1", "stream gpt-4.1", "messages claude-sonnet-4"]);
    [kept, other]
}

#[test]
fn what_is_said_is_kept_where_it_is_configured_without_secrets_and_nowhere_else() {
    let provider = Provider::start();
    let keep = json!(["prompts", "completions", "tool_arguments"]);
    let rules = json!([
        { "agent": "python*", "keep": keep, "max_size": "4KB", "mask": ["quo[t]es"], "attached": true },
        // Whoever attaches an agent gives it its name, too.
        { "agent": "*", "keep": keep },
    ]);
    let config = json!({ "log": { "level": "trace" }, "content": { "agents": rules } });
    let mut daemon = provider.daemon(&config);
    let [kept, other] = both_say(&provider, &daemon);

    let answer = content(&daemon, &kept, "");
    assert_eq!((&answer["keeps"], &answer["max_bytes"]), (&keep, &json!(4000)));
    let said: Vec<Value> = answer["calls"].as_array().unwrap().iter().rev().cloned().collect();
    let [key, tool, messages] = &said[..] else { panic!("three calls: {answer:#}") };
    let ids: Vec<Value> = calls(&daemon, &kept).iter().map(|call| call["id"].clone()).collect();
    assert_eq!(ids, said.iter().map(|call| call["call"].clone()).collect::<Vec<_>>());

    let answered = r#"PLANTED-COMPLETION with "[masked]", {braces} and \ "usage":{"input_tokens":666}"#;
    let asked = ["prompts", "user", "PLANTED-PROMPT: use [masked], please"];
    assert_eq!(texts(key), [asked, ["completions", "assistant", answered]]);
    assert_eq!(key["texts"][0]["masked"], 1);
    // The argument's name says that it is a secret.
    assert_eq!(texts(tool).last().unwrap(), &["tool_arguments", "get_weather", r#"{"secret":"[masked]"}"#]);
    let [part, role, prompt] = texts(messages)[0];
    let left_out = &messages["texts"][0]["left_out_bytes"];
    assert_eq!((part, role, prompt.len(), left_out), ("prompts", "user", 4000, &json!(6015)));
    assert!(texts(messages).contains(&["completions", "assistant", answered]), "{messages:#}");
    let one = content(&daemon, &kept, &format!("?call={}", ids[0].as_str().unwrap()));
    assert_eq!((&one["total"], &one["calls"][0]), (&json!(1), key));

    let nothing = content(&daemon, &other, "");
    assert_eq!(
        (&nothing["keeps"], &nothing["total"], &nothing["calls"]),
        (&json!([]), &json!(0), &json!([]))
    );
    assert_eq!(calls(&daemon, &other).len(), 3, "its calls are told");
    assert_eq!(daemon.api().loss("content_dropped"), 0);
    leaves_nothing_elsewhere(&mut daemon, &kept);
}

#[test]
fn of_a_long_conversation_the_newest_is_kept() {
    let provider = Provider::start();
    let rules = json!([{ "agent": "*", "keep": "prompts", "max_size": "100B", "attached": true }]);
    let daemon = provider.daemon(&json!({ "content": { "agents": rules } }));
    let mut client = provider.python();
    let agent = attach(&daemon, &client);
    let asked = client.call("long gpt-4.1");
    daemon.api().detach(&agent);
    let answer = content(&daemon, &agent, "");
    let call = &answer["calls"][0];
    let said = texts(call);
    assert_eq!(
        said[1..],
        [["prompts", "assistant", "PLANTED: what else?"], ["prompts", "user", "PLANTED-PROMPT: the newest"]]
    );
    assert_eq!((said.len(), said[0][2].len()), (3, 100 - 19 - 26), "{answer:#}");
    let left_out = call["texts"][0]["left_out_bytes"].as_u64().unwrap();
    assert_eq!((left_out, &call["left_out_bytes"]), (20 * 10_015 - 55, &json!(0)), "{asked}");
    assert_eq!(calls(&daemon, &agent)[0]["partial"], json!([]), "all of it was told");
}

/// Content is in no other answer, no file and no log; the key is nowhere at all.
fn leaves_nothing_elsewhere(daemon: &mut Daemon, kept: &str) {
    let pages = ["llm-calls", "mcp-calls", "operations?source=wire", "coverage", "status", "dashboard"];
    let pages = pages.map(|page| format!("/api/v1/{page}"));
    for page in pages.iter().map(String::as_str).chain(["/metrics"]) {
        assert!(!daemon.api().get(page).expect(200).text().contains(MARK), "{page} tells what was said");
    }
    let all = daemon.api().get(&format!("/api/v1/agents/{kept}/content")).expect(200).text();
    assert!(all.contains(MARK) && !all.contains("PLANTEDKEY") && !all.contains("PLANTED-KEY"), "{all}");
    let store = daemon.store();
    assert!(daemon.stop().success());
    let log = daemon.log();
    assert!(log.contains("what it says is kept") && !log.contains(MARK) && !log.contains(KEY), "{log}");
    for entry in fs::read_dir(store).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes()));
    }
}
