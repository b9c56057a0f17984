//! The contenders' text: folded stacks, what `perf script` prints, and bpftrace's maps.

/// A stack, outermost frame first, and how often it was seen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) frames: Vec<String>,
    pub(super) count: u64,
}

/// `frame;frame;frame COUNT`, outermost first, a line each. Other lines are passed over.
pub(super) fn folded(text: &str) -> Vec<Sample> {
    let samples = text.lines().filter_map(|line| {
        let (stack, count) = line.rsplit_once(' ')?;
        let count = count.parse().ok()?;
        Some(Sample { frames: stack.split(';').map(str::to_owned).collect(), count })
    });
    samples.collect()
}

/// `perf script -F comm,pid,ip,sym,dso`: a line that names the thread, then its frames, indented, innermost first.
pub(super) fn perf_script(text: &str) -> Vec<Sample> {
    let mut samples: Vec<Sample> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if line.starts_with(char::is_whitespace) {
            if let (Some(sample), Some(frame)) = (samples.last_mut(), perf_frame(line)) {
                sample.frames.push(frame.to_owned());
            }
        } else {
            samples.push(Sample { frames: Vec::new(), count: 1 });
        }
    }
    for sample in &mut samples {
        sample.frames.reverse();
    }
    samples
}

/// The symbol of `  ADDRESS SYMBOL (FILE)`.
fn perf_frame(line: &str) -> Option<&str> {
    let (_, named) = line.trim().split_once(' ')?;
    Some(named.rsplit_once(" (").map_or(named, |(symbol, _)| symbol))
}

/// `@[`, frames innermost first, a line each, `]: COUNT`. A stack without frames is `@[]: COUNT`.
pub(super) fn bpftrace(text: &str) -> Vec<Sample> {
    let (mut samples, mut frames) = (Vec::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        if line == "@[" {
            frames.clear();
        } else if let Some((_, count)) = line.split_once("]: ") {
            frames.reverse();
            let count = count.parse().unwrap_or(0);
            samples.push(Sample { frames: std::mem::take(&mut frames), count });
        } else if !line.is_empty() {
            frames.push(line.to_owned());
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(frames: &[&str], count: u64) -> Sample {
        Sample { frames: frames.iter().map(|frame| (*frame).to_owned()).collect(), count }
    }

    #[test]
    fn folded_lines_end_in_a_count() {
        let text = "python3;_start;main (a b.py:3) 12\nno count\n\nx 1\n";
        assert_eq!(folded(text), [sample(&["python3", "_start", "main (a b.py:3)"], 12), sample(&["x"], 1)]);
    }

    #[test]
    fn perfs_samples_are_turned_outermost_first() {
        let text = "deep 17 \n\t          11ab leaf (/tmp/a deep)\n\t 12cd std::pair<int, int>::f() (/tmp/deep)\n\
                    \t 1080 _start (/tmp/deep)\n\ndeep 17 \n\t ffff81 [unknown] ([kernel.kallsyms])\n\ndeep 17\n";
        let expected = [
            sample(&["_start", "std::pair<int, int>::f()", "leaf"], 1),
            sample(&["[unknown]"], 1),
            sample(&[], 1),
        ];
        assert_eq!(perf_script(text), expected);
    }

    #[test]
    fn bpftraces_maps_are_read_past_its_chatter() {
        let text = "Attaching 1 probe...\n\n\n@[\n    leaf+18\n    0x7f4e\n]: 3\n@[]: 2\n@[\n    a+1\n]: 1\n";
        let expected = [sample(&["0x7f4e", "leaf+18"], 3), sample(&[], 2), sample(&["a+1"], 1)];
        assert_eq!(bpftrace(text), expected);
    }
}
