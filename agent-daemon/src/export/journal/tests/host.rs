//! Windows of the host through lines: the same, and none twice.

use super::*;
use crate::{model::host::HostWindow, store::fixture::host_window_at};

fn windows() -> Vec<HostWindow> {
    let mut windows: Vec<_> = (0..40).map(|n| host_window_at(at(5 * n), n as u32)).collect();
    windows[7].pressure = None;
    windows
}

fn told(store: &dyn Store) -> Vec<HostWindow> {
    let mut windows = Vec::new();
    store.visit_host(TimeRange::ALL, &mut |window| windows.push(window.clone())).unwrap();
    windows.sort_by_key(|window| window.start);
    windows
}

#[test]
fn they_are_the_same_by_an_export_and_by_a_journal() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let store = open(folders[0].path());
    windows().into_iter().for_each(|window| store.put_host(window));
    store.sync().unwrap();
    let records: Vec<_> = windows().into_iter().map(|window| Record::Host(Box::new(window))).collect();
    let ways = [vec![exported(&store)], journaled(&records, 20_000, Compression::Zstd)];
    for (files, folder) in ways.iter().zip(&folders[1..]) {
        let other = open(folder.path());
        let done = imported_at(at(300), &other, files.iter().map(Vec::as_slice));
        assert_eq!((done.host_windows, done.broken), (40, 0), "{done:?}");
        assert_eq!(told(&other), windows());
        let again = imported_at(at(300), &other, files.iter().map(Vec::as_slice));
        assert_eq!((again.host_windows, again.known), (0, 40));
    }
}

#[test]
fn what_is_merged_comes_through_and_is_not_put_again_in_parts() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (store, other) = (open(folders[0].path()), open(folders[1].path()));
    windows().into_iter().for_each(|window| store.put_host(window));
    store.sync().unwrap();
    let before = exported(&store);
    let later = at(60 * 86_400);
    store.compact(later).unwrap();
    let merged = told(&store);
    assert!(merged.len() < 3, "{}", merged.len());
    assert_eq!(imported_at(later, &store, [before.as_slice()]).host_windows, 0);
    assert_eq!(told(&store), merged);
    assert_eq!(imported_at(later, &other, [exported(&store).as_slice()]).host_windows as usize, merged.len());
    assert_eq!(told(&other), merged);
}

#[test]
fn an_export_of_an_agent_is_without_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    windows().into_iter().for_each(|window| store.put_host(window));
    let own = Selection { agents: vec![AgentId::new(100, 5)], ..Selection::ALL };
    let count = |selection: &Selection| {
        export::<()>(&store, selection, "export".to_owned(), &mut |_, _| Ok(())).unwrap().host_windows
    };
    assert_eq!((count(&own), count(&Selection::ALL)), (0, 40));
}
