//! Which answer of a model asked for a tool: the last one before it, surely where it has the tool's name.

use serde_json::{Value, json};

use super::{Provider, attach, calls};

#[test]
fn tools_are_tied_to_the_answers_that_asked_for_them() {
    let provider = Provider::start();
    let daemon = provider.daemon(&json!({}));
    let mut client = provider.python();
    let agent = attach(&daemon, &client);
    for command in
        ["run sleep", "tool Sleep", "run sleep", "tool Bash", "run sleep", "chat gpt-4.1", "run sleep"]
    {
        client.call(command);
    }
    daemon.api().detach(&agent);
    let asked = calls(&daemon, &agent);
    let mut tools = daemon.api().rows_of(&agent, "tools", "tools");
    tools.sort_by_key(|tool| tool["start"].as_str().unwrap().to_owned());
    let asked_by = |tool: &Value| {
        let detail = format!("/api/v1/tools/{}", tool["id"].as_str().unwrap());
        daemon.api().get(&detail).expect(200).json()["asked_by"].clone()
    };
    let asked_by: Vec<Value> = tools.iter().map(asked_by).collect();
    let by = |at: usize, tool: &str, confidence: &str| json!({ "llm_call": asked[at]["id"], "tool": tool, "confidence": confidence });
    // Nothing was asked before the first, and the answer before the last asked for nothing.
    assert_eq!(asked_by, [Value::Null, by(0, "Sleep", "name"), by(1, "Bash", "single"), Value::Null]);
}
