//! A bar that shows how much of the time is over; nothing where standard error is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over `duration`, at whose end, or on Ctrl-C, there is a report.
pub(super) fn bar(label: &str, duration: Duration) -> ProgressBar {
    drawn(label, duration, "{msg} {wide_bar} {elapsed} (Ctrl-C stops and reports)")
}

/// A bar over `duration` of what Ctrl-C merely ends.
pub(super) fn plain_bar(label: &str, duration: Duration) -> ProgressBar {
    drawn(label, duration, "{msg} {wide_bar} {elapsed}")
}

fn drawn(label: &str, duration: Duration, template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(millis(duration)), ProgressDrawTarget::stderr());
    // The template is a constant; a wrong one would only lose the style.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(super::out::plain(label).into_owned());
    bar
}

/// Moves the bar to `elapsed`.
pub(super) fn advance(bar: &ProgressBar, elapsed: Duration) {
    bar.set_position(millis(elapsed));
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
