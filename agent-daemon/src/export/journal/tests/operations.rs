//! Operations through lines: the same answers, and none twice.

use super::*;
use crate::{
    model::{
        operation::{Operation, Source, Sums},
        record::Arrived,
    },
    store::{
        fixture::{llm_call_at, operation_at, sums_at, tool_call_at},
        query::{
            GroupBy, OperationFilter, OperationPage, OperationSummary, Order, operation_summary, operations,
        },
    },
};

const DAY: i64 = 86_400;

/// Some that say everything, some that say little, and rows that are sums from the start, two of them equal.
fn all() -> Vec<Arrived> {
    let one = |n: u64| {
        let mut operation = operation_at(at(40 * n as i64), n);
        operation.name = format!("/route{}", n % 4);
        operation.id = n << 40;
        if n.is_multiple_of(3) {
            operation = Operation { trace: None, agent: None, process: None, user: None, ..operation };
            (operation.labels, operation.calls, operation.bytes) = (Vec::new(), Vec::new(), None);
        }
        operation
    };
    let operations: Vec<_> = (1..=200).map(one).collect();
    let arrived =
        |operations: &[Operation], sums| Arrived { operations: operations.to_vec(), sums, place: None };
    let alone = operations.chunks(30).map(|some| arrived(some, Vec::new()));
    let sums = [sums_at(at(60), 300), sums_at(at(60), 300), sums_at(at(7200), 2), sums_at(at(7200), 0)];
    alone.chain([arrived(&[], sums.to_vec())]).collect()
}

fn answers_of(store: &dyn Store) -> (OperationPage, Vec<OperationSummary>) {
    let filter = OperationFilter::default();
    let page = operations(store, TimeRange::ALL, &filter, (Order::Newest, 0, 1000)).unwrap();
    let by = [GroupBy::Endpoint, GroupBy::Model, GroupBy::Agent, GroupBy::User, GroupBy::Session];
    (page, by.map(|by| operation_summary(store, TimeRange::ALL, &filter, by).unwrap()).to_vec())
}

#[test]
fn operations_are_the_same_by_an_export_and_by_a_journal() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let store = open(folders[0].path());
    for arrived in all() {
        store.put_operations(arrived);
        store.maintain(at(9000));
    }
    let expected = answers_of(&store);
    assert_eq!((expected.0.total, expected.0.added_up), (200, 602));
    let records: Vec<_> = all().into_iter().map(|arrived| Record::Operations(Box::new(arrived))).collect();
    let ways = [vec![exported(&store)], journaled(&records, 20_000, Compression::Zstd)];
    for (files, folder) in ways.iter().zip(&folders[1..]) {
        let other = open(folder.path());
        let done = imported_at(at(9000), &other, files.iter().map(Vec::as_slice));
        assert_eq!((done.operations, done.operation_sums, done.broken), (200, 3, 0), "{done:?}");
        assert_eq!(answers_of(&other), expected);
        let again = imported_at(at(9000), &other, files.iter().map(Vec::as_slice));
        assert_eq!((again.operations, again.operation_sums, again.known), (0, 0, 203));
        assert_eq!(answers_of(&other), expected);
    }
}

#[test]
fn sums_come_through_and_what_is_added_up_is_not_put_again() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (store, other) = (open(folders[0].path()), open(folders[1].path()));
    all().into_iter().for_each(|arrived| store.put_operations(arrived));
    store.sync().unwrap();
    let before = exported(&store);
    let later = at(60 * DAY);
    store.compact(later).unwrap();
    let expected = answers_of(&store);
    assert_eq!((expected.0.total, expected.0.added_up), (0, 802));
    let again = imported_at(later, &store, [before.as_slice()]);
    assert_eq!((again.operations, again.operation_sums), (0, 0));
    assert_eq!(answers_of(&store), expected);
    let done = imported_at(later, &other, [exported(&store).as_slice()]);
    assert_eq!((done.operations, done.broken), (0, 0));
    assert!(done.operation_sums > 0);
    // Housekeeping has a budget of time: on a busy machine not all is merged yet.
    other.compact(later).unwrap();
    assert_eq!(answers_of(&other), expected);
}

#[test]
fn an_export_of_an_agent_holds_its_own_operations() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    all().into_iter().for_each(|arrived| store.put_operations(arrived));
    let own = Selection { agents: vec![AgentId::new(100, 5)], ..Selection::ALL };
    let nobodys = Selection { agents: vec![AgentId::new(7, 7)], ..Selection::ALL };
    let count = |selection: &Selection| {
        let done = export::<()>(&store, selection, "export".to_owned(), &mut |_, _| Ok(())).unwrap();
        (done.operations, done.operation_sums)
    };
    assert_eq!(count(&Selection::ALL), (200, 3));
    assert_eq!(count(&own), (134, 3));
    assert_eq!(count(&nobodys), (0, 0));
}

#[test]
fn calls_of_tools_and_models_are_the_same_by_an_export_and_by_a_journal() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let store = open(folders[0].path());
    let tools = (1..=50).map(|n| tool_call_at(at(n as i64), n));
    let calls: Vec<_> = tools.chain((51..=100).map(|n| llm_call_at(at(n as i64), n))).collect();
    let mut sums = Sums::new(at(0), at(60));
    (1..=7).for_each(|n| sums.add(&tool_call_at(at(1), n)));
    (1..=9).for_each(|n| sums.add(&llm_call_at(at(1), n)));
    let all = || Arrived { operations: calls.clone(), sums: vec![sums.clone()], place: None };
    store.put_operations(all());
    let answers = |store: &dyn Store| {
        [Source::Kernel, Source::Wire].map(|source| {
            let filter = OperationFilter { source: Some(source), ..OperationFilter::default() };
            let page = operations(store, TimeRange::ALL, &filter, (Order::Busiest, 0, 1000)).unwrap();
            (page, operation_summary(store, TimeRange::ALL, &filter, GroupBy::Endpoint).unwrap())
        })
    };
    let expected = answers(&store);
    let [(tools, bills), (models, used)] = &expected;
    assert_eq!((tools.operations[0].id, bills.total.bill.processes), (50, 101 + 14));
    assert_eq!((models.operations.len(), used.total.count, used.total.llm.counted), (50, 59, 48));
    let records = [Record::Operations(Box::new(all()))];
    let ways = [vec![exported(&store)], journaled(&records, 20_000, Compression::Zstd)];
    for (files, folder) in ways.iter().zip(&folders[1..]) {
        let other = open(folder.path());
        imported_at(at(9000), &other, files.iter().map(Vec::as_slice));
        assert_eq!(answers(&other), expected);
    }
}
