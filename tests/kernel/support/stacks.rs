//! Stacks of the API's profiles: frames, innermost first, and how their walk ended. Fields are read by the names
//! that the OpenAPI document gives them, here and nowhere else in the tests.

use serde_json::Value;

use super::api::Api;

/// One call on a stack.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) kind: String,
    pub(crate) function: String,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u64>,
    /// Path of the binary that the code comes from.
    pub(crate) binary: Option<String>,
    pub(crate) build_id: Option<String>,
    /// Offset in the binary's file; the address itself where there is none.
    pub(crate) address: u64,
}

/// One stack of a profile, with its weight.
#[derive(Clone, Debug)]
pub(crate) struct Stack {
    pub(crate) pid: u32,
    /// What it waited for, in a profile of time off the CPU.
    pub(crate) cause: Option<String>,
    /// Samples, or waits that ended.
    pub(crate) count: u64,
    pub(crate) seconds: f64,
    /// How the walk of the user part ended.
    pub(crate) end: String,
    pub(crate) frames: Vec<Frame>,
}

impl Frame {
    fn read(row: &Value) -> Self {
        let text = |field: &str| row[field].as_str().map(str::to_owned);
        let address = text("address").unwrap_or_else(|| panic!("no address in {row}"));
        let digits = address.strip_prefix("0x").unwrap_or_else(|| panic!("no hexadecimal: {row}"));
        Self {
            kind: text("kind").unwrap_or_else(|| panic!("no kind in {row}")),
            function: text("function").unwrap_or_else(|| panic!("no function in {row}")),
            file: text("file"),
            line: row["line"].as_u64(),
            binary: text("binary"),
            build_id: text("build_id"),
            address: u64::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("no address in {row}")),
        }
    }
}

impl Stack {
    fn read(row: &Value) -> Self {
        let stack = &row["stack"];
        let frames = stack["frames"].as_array().unwrap_or_else(|| panic!("no frames in {row}"));
        Self {
            pid: row["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a pid"),
            cause: row["cause"].as_str().map(str::to_owned),
            count: row["count"].as_u64().unwrap_or_else(|| panic!("no count in {row}")),
            seconds: row["seconds"].as_f64().unwrap_or_else(|| panic!("no seconds in {row}")),
            end: stack["end"].as_str().unwrap_or_else(|| panic!("no end in {row}")).to_owned(),
            frames: frames.iter().map(Frame::read).collect(),
        }
    }

    /// The frames of these kinds.
    pub(crate) fn of_kind<'a>(&'a self, kinds: &'a [&str]) -> impl Iterator<Item = &'a Frame> {
        self.frames.iter().filter(|f| kinds.contains(&f.kind.as_str()))
    }

    /// The names of all user frames, innermost first.
    pub(crate) fn functions(&self) -> Vec<&str> {
        self.frames.iter().filter(|f| f.kind != "kernel").map(|f| f.function.as_str()).collect()
    }

    /// Whether a frame has this name.
    pub(crate) fn calls(&self, function: &str) -> bool {
        self.frames.iter().any(|f| f.function == function)
    }
}

impl Api {
    /// A profile of an agent, `cpu` or `off_cpu`, from all time.
    #[track_caller]
    pub(crate) fn stacks(&self, agent: &str, kind: &str) -> Vec<Stack> {
        self.stacks_at(&format!("/api/v1/agents/{agent}/profile?type={kind}&format=json"))
    }

    /// A profile of the windows that end after `from`.
    #[track_caller]
    pub(crate) fn stacks_from(&self, agent: &str, kind: &str, from: jiff::Timestamp) -> Vec<Stack> {
        self.stacks_at(&format!("/api/v1/agents/{agent}/profile?type={kind}&format=json&from={from}"))
    }

    #[track_caller]
    fn stacks_at(&self, path: &str) -> Vec<Stack> {
        let profile = self.get(path).expect(200).json();
        let stacks = profile["stacks"].as_array().unwrap_or_else(|| panic!("no stacks in {profile}"));
        stacks.iter().map(Stack::read).collect()
    }
}
