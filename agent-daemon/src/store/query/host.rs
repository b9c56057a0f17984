//! What the host did over a range: all of it, and how it went in stretches of equal length.

use std::collections::BTreeMap;

use super::Covered;
use crate::{
    model::{
        host::HostWindow,
        time::{TimeRange, Timestamp},
    },
    store::{Store, StoreError},
};

/// The shortest stretch, ns.
const SHORTEST: i128 = 1_000_000_000;

/// What the host did over a range.
#[derive(Clone, Debug, PartialEq)]
pub struct HostHistory {
    /// The time that is told of.
    pub covered: Covered,
    /// All of it.
    pub total: HostWindow,
    /// The same in order, in stretches of one length; the windows of each merged.
    pub points: Vec<HostWindow>,
}

/// What the host did over a range, in `most` points at most; `None` where nothing was recorded.
///
/// # Errors
/// The store cannot be read.
pub fn host_history(
    store: &dyn Store,
    range: TimeRange,
    most: usize,
) -> Result<Option<HostHistory>, StoreError> {
    let mut points = Points { length: SHORTEST, windows: BTreeMap::new(), most };
    let mut count = 0;
    store.visit_host(range, &mut |window| {
        count += 1;
        points.add(window);
    })?;
    let points: Vec<_> = points.windows.into_values().collect();
    let total = HostWindow::merge(points.iter().cloned());
    Ok(total.map(|total| {
        let range = TimeRange { from: total.start, to: total.end };
        HostHistory { covered: Covered { range, windows: count }, total, points }
    }))
}

/// Windows by the stretch that they begin in. Whenever these are too many, each two become one: nobody has to know
/// beforehand how long a history is.
struct Points {
    /// Of a stretch, ns.
    length: i128,
    windows: BTreeMap<i128, HostWindow>,
    most: usize,
}

impl Points {
    fn add(&mut self, window: &HostWindow) {
        let number = stretch(window.start, self.length);
        match self.windows.get_mut(&number) {
            Some(sum) => sum.absorb(window),
            None => drop(self.windows.insert(number, window.clone())),
        }
        while self.windows.len() > self.most.max(1) {
            self.length *= 2;
            for window in std::mem::take(&mut self.windows).into_values() {
                self.add(&window);
            }
        }
    }
}

fn stretch(time: Timestamp, length: i128) -> i128 {
    time.as_nanosecond().div_euclid(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        Limits, Memory,
        fixture::{at, host_window_at},
    };

    #[test]
    fn points_are_few_in_order_and_add_up() {
        let store = Memory::new(Limits::default(), std::sync::Arc::default());
        assert_eq!(host_history(&store, TimeRange::ALL, 10).unwrap(), None);
        let all: Vec<_> = (0..720).map(|n| host_window_at(at(5 * n), n as u32 % 50)).collect();
        all.iter().for_each(|window| store.put_host(window.clone()));
        for most in [1, 2, 60, 719, 720, 5000] {
            let told = host_history(&store, TimeRange::ALL, most).unwrap().unwrap();
            assert!(told.points.len() <= most && told.points.len() >= most.min(720) / 2, "{most}");
            assert!(told.points.is_sorted_by(|a, b| a.end <= b.start));
            assert_eq!(told.total, HostWindow::merge(all.clone()).unwrap());
            assert_eq!((told.covered.windows, told.covered.range.to), (720, at(3600)));
        }
        let some = TimeRange { from: at(100), to: at(110) };
        assert_eq!(host_history(&store, some, 60).unwrap().unwrap().points, all[20..22]);
    }
}
