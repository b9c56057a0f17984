//! Operations: the list of some, and sums by what is asked for.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use crate::{
    model::{
        id::AgentId,
        operation::{Kept, Operation, Source, Sum, SumKey},
        time::{TimeRange, Timestamp},
    },
    store::{Store, StoreError},
};

/// Groups of a summary; what is more is added up without a name, that of each source by itself.
const MAX_GROUPS: usize = 2000;

/// Which operations.
#[derive(Clone, Debug, Default)]
pub struct OperationFilter {
    /// Of this project.
    pub project: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Of this name.
    pub name: Option<String>,
    /// Sent by a process of this agent.
    pub agent: Option<AgentId>,
    /// That came this way; if `None`, those that applications told of.
    pub source: Option<Source>,
    /// Only those that failed.
    pub failed: bool,
}

impl OperationFilter {
    fn takes(&self, operation: &Operation) -> bool {
        let same = |asked: &Option<String>, found: &str| asked.as_deref().is_none_or(|asked| asked == found);
        same(&self.project, &operation.project)
            && same(&self.kind, &operation.kind)
            && same(&self.name, &operation.name)
            && self.agent.as_ref().is_none_or(|agent| operation.agent.as_ref() == Some(agent))
            && self.takes_source(operation.source)
            && !(self.failed && operation.success)
    }

    fn takes_sums(&self, key: &SumKey) -> bool {
        let same = |asked: &Option<String>, found: &str| asked.as_deref().is_none_or(|asked| asked == found);
        same(&self.project, &key.project)
            && same(&self.kind, &key.kind)
            && same(&self.name, &key.name)
            && self.agent.as_ref().is_none_or(|agent| key.agent.as_ref() == Some(agent))
            && self.takes_source(key.source)
    }

    fn takes_source(&self, source: Source) -> bool {
        self.source.map_or(source.is_told(), |asked| asked == source)
    }
}

/// Which come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Those that began last.
    Newest,
    /// Those that took longest.
    Slowest,
    /// Those that used most CPU time, of tool calls.
    Busiest,
}

/// Some operations, and how many there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OperationPage {
    /// Those that were asked for, in order.
    pub operations: Vec<Operation>,
    /// All that the filter takes and that are kept one by one.
    pub total: u64,
    /// Operations that are left only as sums.
    pub added_up: u64,
}

impl OperationPage {
    /// Where the next page begins if this one begins at `offset`; `None` for the last.
    #[must_use]
    pub fn next_offset(&self, offset: usize) -> Option<usize> {
        let next = offset + self.operations.len();
        ((next as u64) < self.total && next > offset).then_some(next)
    }
}

/// The operations from the `skip`th on, `limit` at most.
///
/// # Errors
/// The store cannot be read.
pub fn operations(
    store: &dyn Store,
    range: TimeRange,
    filter: &OperationFilter,
    (order, skip, limit): (Order, usize, usize),
) -> Result<OperationPage, StoreError> {
    let mut page = OperationPage::default();
    let most = skip.saturating_add(limit);
    // The greatest key is the first to go, so that no more are held than are asked for.
    let mut first: BTreeMap<(Reverse<u64>, Reverse<Timestamp>, u64), Operation> = BTreeMap::new();
    store.visit_operations(range, &mut |kept| match kept {
        Kept::One(operation) if filter.takes(operation) => {
            page.total += 1;
            let weight = match order {
                Order::Newest => 0,
                Order::Slowest => operation.duration_ns,
                Order::Busiest => operation.tool.as_ref().map_or(0, |tool| tool.bill.cpu_ns()),
            };
            let key = (Reverse(weight), Reverse(operation.start), operation.id);
            if first.len() < most || first.last_key_value().is_some_and(|(last, _)| key < *last) {
                first.insert(key, operation.clone());
            }
            if first.len() > most {
                first.pop_last();
            }
        }
        Kept::One(_) => {}
        Kept::Sums(sums) => {
            let taken = sums.rows.iter().filter(|(key, _)| filter.takes_sums(key));
            let counts = taken.map(|(_, sum)| if filter.failed { sum.errors } else { sum.count });
            page.added_up = counts.fold(page.added_up, u64::saturating_add);
        }
    })?;
    page.operations = first.into_values().skip(skip).collect();
    Ok(page)
}

/// What operations are added up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Project, kind and name.
    Endpoint,
    /// Project, kind and language model; of calls that were read off the wire also the name, which tells the provider.
    Model,
    /// The agent that sent them.
    Agent,
    /// Project and user: only those that are kept one by one.
    User,
    /// Project and session: only those that are kept one by one.
    Session,
}

/// What a group has in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The project.
    pub project: Option<String>,
    /// The source.
    pub source: Option<Source>,
    /// The kind.
    pub kind: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The language model.
    pub model: Option<String>,
    /// The agent.
    pub agent: Option<AgentId>,
    /// The user.
    pub user: Option<String>,
    /// The session.
    pub session: Option<String>,
}

/// Sums by group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OperationSummary {
    /// Each group with its sum, most time first.
    pub groups: Vec<(Group, Sum)>,
    /// Everything together, but for metrics of a project's kind of which operations came in another way, too: the same
    /// work is not added up twice.
    pub total: Sum,
    /// Everything that came in each way.
    pub sources: BTreeMap<Source, Sum>,
    /// From the first operation's begin to the last one's end, where there is any.
    pub covered: Option<(Timestamp, Timestamp)>,
    /// Whether groups found no room: they are added up without a name, those of each source by themselves.
    pub overflowed: bool,
}

/// Adds up what the filter takes.
///
/// # Errors
/// The store cannot be read.
pub fn operation_summary(
    store: &dyn Store,
    range: TimeRange,
    filter: &OperationFilter,
    by: GroupBy,
) -> Result<OperationSummary, StoreError> {
    let mut summary = OperationSummary::default();
    let mut groups: BTreeMap<Group, Sum> = BTreeMap::new();
    let mut totals = Totals::default();
    store.visit_operations(range, &mut |kept| match kept {
        Kept::One(operation) if filter.takes(operation) => {
            let key = SumKey::of(operation);
            if let Some(group) = group_of(by, &key, Some(operation)) {
                cover(&mut summary.covered, operation.start, operation.end());
                totals.of(&key).add(operation);
                place(&mut groups, group, &mut summary.overflowed).add(operation);
            }
        }
        // Which of them failed is not known one by one.
        Kept::Sums(sums) if !filter.failed => {
            for (key, sum) in sums.rows.iter().filter(|(key, _)| filter.takes_sums(key)) {
                if let Some(group) = group_of(by, key, None) {
                    cover(&mut summary.covered, sums.start, sums.end);
                    totals.of(key).merge(sum);
                    place(&mut groups, group, &mut summary.overflowed).merge(sum);
                }
            }
        }
        Kept::One(_) | Kept::Sums(_) => {}
    })?;
    (summary.total, summary.sources) = totals.add_up();
    summary.groups = groups.into_iter().collect();
    summary.groups.sort_by(|a, b| b.1.total_ns.cmp(&a.1.total_ns).then_with(|| a.0.cmp(&b.0)));
    Ok(summary)
}

fn place<'a>(groups: &'a mut BTreeMap<Group, Sum>, group: Group, overflowed: &mut bool) -> &'a mut Sum {
    let room = groups.len() < MAX_GROUPS || groups.contains_key(&group);
    *overflowed |= !room;
    let nameless = |group: Group| Group { source: group.source, ..Group::default() };
    groups.entry(if room { group } else { nameless(group) }).or_default()
}

/// Sums by project, kind and source, of which there are few: the doors bound them.
#[derive(Default)]
struct Totals(BTreeMap<(Arc<str>, String), BTreeMap<Source, Sum>>);

impl Totals {
    fn of(&mut self, key: &SumKey) -> &mut Sum {
        let sources = self.0.entry((Arc::clone(&key.project), key.kind.clone())).or_default();
        sources.entry(key.source).or_default()
    }

    /// All of it without what was told twice, and all by source.
    fn add_up(self) -> (Sum, BTreeMap<Source, Sum>) {
        let (mut total, mut by_source) = (Sum::default(), BTreeMap::<Source, Sum>::new());
        for sources in self.0.into_values() {
            let twice = sources.len() > 1;
            for (source, sum) in sources {
                if !(twice && source == Source::OtlpMetrics) {
                    total.merge(&sum);
                }
                by_source.entry(source).or_default().merge(&sum);
            }
        }
        (total, by_source)
    }
}

fn cover(covered: &mut Option<(Timestamp, Timestamp)>, start: Timestamp, end: Timestamp) {
    let (from, to) = covered.get_or_insert((start, end));
    (*from, *to) = ((*from).min(start), (*to).max(end));
}

/// The group; `None` where the operation has nothing of what is asked for.
fn group_of(by: GroupBy, key: &SumKey, operation: Option<&Operation>) -> Option<Group> {
    let project = Some(key.project.to_string());
    // What was told twice, by spans and by metrics, is not added up together.
    let source = Some(key.source);
    let kind = Some(key.kind.clone());
    match by {
        GroupBy::Endpoint => {
            Some(Group { project, source, kind, name: Some(key.name.clone()), ..Group::default() })
        }
        GroupBy::Model if key.source == Source::Wire => {
            let (name, model) = (Some(key.name.clone()), key.model.clone());
            Some(Group { project, source, kind, name, model, ..Group::default() })
        }
        GroupBy::Model => key.model.clone().map(|model| Group {
            project,
            source,
            kind,
            model: Some(model),
            ..Group::default()
        }),
        GroupBy::Agent => {
            key.agent.clone().map(|agent| Group { agent: Some(agent), source, ..Group::default() })
        }
        GroupBy::User => {
            let user = operation?.user.clone()?;
            Some(Group { project, user: Some(user), ..Group::default() })
        }
        GroupBy::Session => {
            let session = operation?.session.clone()?;
            Some(Group { project, session: Some(session), ..Group::default() })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        model::{operation::Sums, record::Arrived},
        store::{
            Limits, Memory,
            fixture::{at, operation_at, sums_at},
        },
        telemetry::Telemetry,
    };

    fn store() -> Memory {
        let store = Memory::new(Limits::default(), Arc::new(Telemetry::default()));
        let mut operations: Vec<_> = (1..=100).map(|n| operation_at(at(n as i64), n)).collect();
        operations.iter_mut().for_each(|o| o.name = format!("/route{}", o.id % 4));
        store.put_operations(Arrived { operations, sums: vec![sums_at(at(0), 50)], place: None });
        store
    }

    #[test]
    fn pages_are_in_order_and_hold_each_once() {
        let store = store();
        let filter = OperationFilter::default();
        let mut seen = Vec::new();
        for page in 0..4 {
            let page = operations(&store, TimeRange::ALL, &filter, (Order::Slowest, page * 30, 30)).unwrap();
            assert_eq!((page.total, page.added_up), (100, 50));
            seen.extend(page.operations.iter().map(|o| o.id));
        }
        assert_eq!(seen, (1..=100).rev().collect::<Vec<u64>>());
        let failed = OperationFilter { failed: true, ..filter };
        let page = operations(&store, TimeRange::ALL, &failed, (Order::Newest, 0, 100)).unwrap();
        assert_eq!((page.total, page.added_up, page.operations[0].id), (10, 5, 100));
    }

    #[test]
    fn groups_add_up_to_the_total() {
        let store = store();
        let all = OperationFilter::default();
        for by in [GroupBy::Endpoint, GroupBy::Model, GroupBy::Agent, GroupBy::User, GroupBy::Session] {
            let summary = operation_summary(&store, TimeRange::ALL, &all, by).unwrap();
            let count: u64 = summary.groups.iter().map(|(_, sum)| sum.count).sum();
            let single = matches!(by, GroupBy::User | GroupBy::Session);
            assert_eq!((count, summary.total.count), if single { (100, 100) } else { (150, 150) }, "{by:?}");
        }
        let one = OperationFilter { name: Some("/route1".to_owned()), ..all };
        let summary = operation_summary(&store, TimeRange::ALL, &one, GroupBy::Endpoint).unwrap();
        assert_eq!((summary.groups.len(), summary.total.count), (1, 25));
        assert_eq!(summary.covered, Some((at(1), at(97) + std::time::Duration::from_millis(97))));
    }

    /// The sums that a histogram of `n` operations comes to.
    fn told_by_metrics(kind: &str, n: u64) -> Sums {
        let mut told = Sums::new(at(0), at(60));
        for (mut key, sum) in sums_at(at(0), n).rows {
            (key.source, key.kind) = (Source::OtlpMetrics, kind.to_owned());
            told.rows.insert(key, sum);
        }
        told
    }

    #[test]
    fn what_spans_and_metrics_both_tell_is_counted_once() {
        let store = Memory::new(Limits::default(), Arc::new(Telemetry::default()));
        let operations = (1..=20).map(|n| operation_at(at(1), n)).collect();
        let sums = vec![told_by_metrics("http_server", 20), told_by_metrics("db", 5)];
        store.put_operations(Arrived { operations, sums, place: None });
        let all = OperationFilter::default();
        let summary = operation_summary(&store, TimeRange::ALL, &all, GroupBy::Endpoint).unwrap();
        assert_eq!((summary.total.count, summary.total.errors), (25, 2), "spans, and what only metrics tell");
        let count = |source| summary.sources.get(&source).map(|sum| sum.count);
        assert_eq!((count(Source::Otlp), count(Source::OtlpMetrics)), (Some(20), Some(25)));
        let metrics = OperationFilter { source: Some(Source::OtlpMetrics), ..all };
        let summary = operation_summary(&store, TimeRange::ALL, &metrics, GroupBy::Endpoint).unwrap();
        assert_eq!(summary.total.count, 25, "who asks for metrics gets them");
    }

    #[test]
    fn groups_without_room_are_added_up_by_source() {
        let (mut groups, mut overflowed) = (BTreeMap::new(), false);
        for n in 0..MAX_GROUPS + 10 {
            let source = if n % 2 == 0 { Source::Otlp } else { Source::OtlpMetrics };
            let group = Group { source: Some(source), name: Some(n.to_string()), ..Group::default() };
            place(&mut groups, group, &mut overflowed).count += 1;
        }
        let rest =
            |source| groups.get(&Group { source: Some(source), ..Group::default() }).map(|sum| sum.count);
        assert_eq!((rest(Source::Otlp), rest(Source::OtlpMetrics)), (Some(5), Some(5)));
        assert!(overflowed && groups.len() == MAX_GROUPS + 2);
    }
}
