//! pprof as its clients see it. The bytes are read here by hand, by the format's own field numbers and with
//! none of the code that wrote them; where the real client is installed, it reads them too.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    process::Command,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use flate2::read::GzDecoder;

use crate::api_world::World;

/// One field of a message.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (first, rest) = bytes.split_first().expect("a whole varint");
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            break;
        }
    }
    value
}

/// A message's fields by number, in order.
fn fields(mut bytes: &[u8]) -> BTreeMap<u64, Vec<Field<'_>>> {
    let mut fields: BTreeMap<u64, Vec<Field<'_>>> = BTreeMap::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)).unwrap();
                let (field, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(field)
            }
            other => panic!("wire type {other}"),
        };
        fields.entry(key >> 3).or_default().push(field);
    }
    fields
}

struct Message<'a>(BTreeMap<u64, Vec<Field<'a>>>);

impl<'a> Message<'a> {
    fn read(bytes: &'a [u8]) -> Self {
        Self(fields(bytes))
    }

    fn all(&self, number: u64) -> impl Iterator<Item = &Field<'a>> {
        self.0.get(&number).into_iter().flatten()
    }

    /// Absent is 0, as the format has it.
    fn number(&self, number: u64) -> u64 {
        self.numbers(number).first().copied().unwrap_or(0)
    }

    fn numbers(&self, number: u64) -> Vec<u64> {
        let mut numbers = Vec::new();
        for field in self.all(number) {
            match field {
                Field::Number(n) => numbers.push(*n),
                Field::Bytes(packed) => {
                    let mut packed = *packed;
                    while !packed.is_empty() {
                        numbers.push(varint(&mut packed));
                    }
                }
            }
        }
        numbers
    }

    fn bytes(&self, number: u64) -> Vec<&'a [u8]> {
        self.all(number)
            .map(|f| if let Field::Bytes(b) = f { *b } else { panic!("{number} has no bytes") })
            .collect()
    }

    fn messages(&self, number: u64) -> Vec<Message<'a>> {
        self.bytes(number).into_iter().map(Message::read).collect()
    }
}

/// A decoded profile as text: types, then mappings, then a line a sample.
fn describe(gzipped: &[u8]) -> String {
    let mut bytes = Vec::new();
    GzDecoder::new(gzipped).read_to_end(&mut bytes).unwrap();
    let profile = Message::read(&bytes);
    let texts: Vec<_> =
        profile.bytes(6).into_iter().map(|b| std::str::from_utf8(b).unwrap().to_owned()).collect();
    let text = |index: u64| texts[usize::try_from(index).unwrap()].as_str();
    let kind = |m: &Message<'_>| format!("{}/{}", text(m.number(1)), text(m.number(2)));

    let types: Vec<_> = profile.messages(1).iter().map(kind).collect();
    let period = kind(&profile.messages(11)[0]);
    let mut lines = vec![
        format!("types {}", types.join(" ")),
        format!("default {}", text(profile.number(14))),
        format!("period {} {period}", profile.number(12)),
        format!("duration {}", profile.number(10)),
    ];
    for m in profile.messages(3) {
        lines.push(format!(
            "mapping {} {}..{:#x} {} {:?} functions={}",
            m.number(1),
            m.number(2),
            m.number(3),
            text(m.number(5)),
            text(m.number(6)),
            m.number(7)
        ));
    }
    let functions: BTreeMap<_, _> =
        profile.messages(5).iter().map(|f| (f.number(1), (text(f.number(2)), text(f.number(4))))).collect();
    let locations: BTreeMap<_, _> = profile
        .messages(4)
        .iter()
        .map(|l| {
            let line = &l.messages(4)[0];
            let (name, file) = functions[&line.number(1)];
            let place = if file.is_empty() { String::new() } else { format!("@{file}:{}", line.number(2)) };
            (l.number(1), format!("{name}{place}"))
        })
        .collect();
    for s in profile.messages(2) {
        let stack: Vec<_> = s.numbers(1).iter().map(|id| locations[id].as_str()).collect();
        let labels: Vec<_> = s
            .messages(3)
            .iter()
            .map(|l| match l.number(2) {
                0 => format!("{}={}", text(l.number(1)), l.number(3)),
                index => format!("{}={}", text(l.number(1)), text(index)),
            })
            .collect();
        lines.push(format!("sample {:?} {} {{{}}}", s.numbers(2), stack.join(" < "), labels.join(" ")));
    }
    lines.join("\n")
}

#[test]
fn a_cpu_profile_reads_back_by_the_formats_own_numbers() {
    let world = World::new();
    let cpu = world.get(&world.of_live("/profile?type=cpu")).body;
    assert_eq!(
        describe(&cpu),
        "types samples/count cpu/nanoseconds\n\
         default cpu\n\
         period 10309278 cpu/nanoseconds\n\
         duration 10000000000\n\
         mapping 1 0..0x1005 /usr/bin/python3.11 \"c0ffee\" functions=1\n\
         mapping 2 0..0x100a [kernel] \"\" functions=1\n\
         sample [140, 1443298920] hot < main {pid=100 comm=python3}\n\
         sample [50, 515463900] ksys_read < load@/srv/agent/agent.py:12 < main {pid=100 comm=python3}\n\
         sample [10, 103092780] hot < main {pid=101 comm=sh}"
    );
}

#[test]
fn an_off_cpu_profile_reads_back_too() {
    let world = World::new();
    let off_cpu = world.get(&world.of_live("/profile?type=off_cpu")).body;
    let stack = "schedule < wait_for_reply@/srv/agent/agent.py:12";
    assert_eq!(
        describe(&off_cpu),
        format!(
            "types waits/count off_cpu/nanoseconds\n\
             default off_cpu\n\
             period 1 off_cpu/nanoseconds\n\
             duration 10000000000\n\
             mapping 1 0..0x0 /usr/bin/python3.11 \"\" functions=1\n\
             mapping 2 0..0x1009 [kernel] \"\" functions=1\n\
             sample [4, 4002000000] {stack} {{pid=100 comm=python3 cause=network}}\n\
             sample [4, 8000000] {stack} {{pid=101 comm=sh cause=preempted}}\n\
             sample [4, 6000000] {stack} {{pid=101 comm=sh cause=page_fault}}"
        )
    );
}

#[test]
fn a_process_that_is_watched_is_recorded_without_disturbing_it() {
    let world = World::new();
    let begin = Instant::now();
    let answer = world.get("/debug/pprof/profile?seconds=1&pid=100");
    assert!(begin.elapsed() >= Duration::from_secs(1));
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/octet-stream")));
    let disposition = answer.header("content-disposition").unwrap();
    assert_eq!(disposition, format!("attachment; filename=\"cpu-{}.pb.gz\"", world.live));
    assert_eq!(world.flushes.load(Ordering::SeqCst), 2, "before, so that it begins now, and after");
    assert!(describe(&answer.body).contains("sample [70, "), "{}", describe(&answer.body));
    assert_eq!(world.get(&world.of_live("")).json()["state"], "live");
}

#[test]
fn a_child_is_recorded_with_its_own_and_no_others_samples() {
    let world = World::new();
    let described = describe(&world.get("/debug/pprof/profile?seconds=1&pid=101").body);
    assert!(described.contains("pid=101") && !described.contains("pid=100"), "{described}");
}

#[test]
fn a_process_that_is_not_watched_is_so_for_the_time() {
    let world = World::new();
    let answer = world.get("/debug/pprof/profile?seconds=1&pid=4711");
    let described = describe(&answer.body);
    assert!(described.contains("pid=4711"), "{described}");
    let agents = world.get("/api/v1/agents").json();
    let mine = agents["agents"].as_array().unwrap().iter().find(|a| a["pid"] == 4711).unwrap();
    assert_eq!((&mine["state"], &mine["probes"]), (&"ended".into(), &serde_json::json!(["cpu"])));
    assert!(mine["expires"].is_string(), "should the detach get lost");
    assert_eq!(world.flushes.load(Ordering::SeqCst), 0);
}

#[test]
fn a_process_that_is_borrowed_is_not_borrowed_twice() {
    let world = World::new();
    let path = "/debug/pprof/profile?seconds=1&pid=4711";
    let answers = std::thread::scope(|scope| {
        let asked = [(); 2].map(|()| scope.spawn(|| world.get(path)));
        asked.map(|answer| answer.join().unwrap())
    });
    let mut statuses = answers.map(|answer| answer.status);
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "the second would be cut short by the end of the first");
    assert_eq!(world.get(path).status, 200, "afterwards it is free again");
}

#[test]
fn what_cannot_be_recorded_is_refused_at_once() {
    let world = World::new();
    let begin = Instant::now();
    let refused = |query: &str, status| world.get(&format!("/debug/pprof/profile{query}")).problem(status);
    assert!(refused("", 400).contains("missing field `pid`"));
    for query in [
        "?pid=0",
        "?pid=-1",
        "?pid=4194305",
        "?pid=x",
        "?pid=1&seconds=0",
        "?pid=1&seconds=601",
        "?pid=1&seconds=-1",
        "?pid=1&x=1",
    ] {
        refused(query, 400);
    }
    refused("?pid=9", 404);
    refused("?pid=5", 403);
    refused("?pid=2", 400);
    refused("?pid=7", 409);
    assert!(begin.elapsed() < Duration::from_secs(20));
}

/// The client itself, where it is installed.
#[test]
fn go_tool_pprof_reads_what_we_write() {
    if Command::new("go").arg("version").output().is_err() {
        eprintln!("no go on this host: only our own reading was checked");
        return;
    }
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    for (kind, top) in [("cpu", "hot"), ("off_cpu", "schedule")] {
        let file = dir.path().join(kind);
        fs::write(&file, world.get(&world.of_live(&format!("/profile?type={kind}"))).body).unwrap();
        let listing = go_pprof(&["-top", "-lines", &file.to_string_lossy()], &dir);
        assert!(listing.contains("File: python3.11") && listing.contains(top), "{listing}");
    }
    let url = world.url("/debug/pprof/profile?pid=100");
    let listing = go_pprof(&["-top", "-seconds", "1", &url], &dir);
    assert!(listing.contains("Type: cpu") && listing.contains("hot"), "{listing}");
}

fn go_pprof(args: &[&str], dir: &tempfile::TempDir) -> String {
    let mut go = Command::new("go");
    go.args(["tool", "pprof"]).args(args).env("PPROF_TMPDIR", dir.path()).env("HOME", dir.path());
    let output = go.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
