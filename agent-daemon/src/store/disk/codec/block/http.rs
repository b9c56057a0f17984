//! The columns of exchanges over HTTP, since version 5. Endpoints stand once, and rows refer to their places; how many there were is
//! told by the times counted, the longest by the sum.

use std::sync::Arc;

use super::{
    super::{
        CodecError,
        bytes::{Decoder, Encoder},
    },
    Numbered,
    columns::{Places, at, beside, column, decode_places, from_beside, next, read_columns},
    total,
};
use crate::model::{
    http::{Endpoint, HttpStat, MAX_ROUTE},
    id::ProcessId,
    network::MAX_HOST,
    operation::Durations,
    wire::{Carried, METHODS, Role},
};

/// The windows' exchanges.
pub(super) fn encode(to: &mut Encoder, windows: &[Numbered]) {
    let rows: Vec<&HttpStat> = windows.iter().flat_map(|w| sorted(&w.http)).collect();
    let processes = Places::of(rows.iter().map(|row| row.process.0).collect());
    let mut endpoints: Vec<&Endpoint> = rows.iter().map(|row| &row.endpoint).collect();
    endpoints.sort_unstable();
    endpoints.dedup();
    processes.encode(to);
    to.varint(endpoints.len() as u64);
    endpoints.iter().for_each(|endpoint| encode_endpoint(to, endpoint));
    windows.iter().for_each(|w| to.varint(w.http.len() as u64));
    column(to, &rows, |row| processes.place(row.process.0));
    column(to, &rows, |row| endpoints.binary_search(&&row.endpoint).map_or(0, |place| place as u64));
    column(to, &rows, |row| beside(row.count, row.durations.count()));
    column(to, &rows, |row| row.errors);
    column(to, &rows, |row| row.partial);
    column(to, &rows, |row| row.request_bytes);
    column(to, &rows, |row| row.response_bytes);
    column(to, &rows, |row| row.total_ns);
    column(to, &rows, |row| beside(row.total_ns, row.max_ns));
    column(to, &rows, |row| row.durations.buckets().len() as u64);
    for (bucket, count) in rows.iter().flat_map(|row| row.durations.buckets()) {
        to.varint(bucket.into());
        to.varint(count);
    }
}

fn sorted(rows: &[HttpStat]) -> Vec<&HttpStat> {
    let mut rows: Vec<&HttpStat> = rows.iter().collect();
    rows.sort_by(|a, b| (a.process, &a.endpoint).cmp(&(b.process, &b.endpoint)));
    rows
}

/// Reads it into the windows that it is of.
pub(super) fn decode(from: &mut Decoder<'_>, windows: &mut [Numbered]) -> Result<(), CodecError> {
    let processes = decode_places(from)?;
    let endpoints = (0..from.count()?).map(|_| decode_endpoint(from)).collect::<Result<Vec<_>, _>>()?;
    let lengths = windows.iter().map(|_| from.count()).collect::<Result<Vec<_>, _>>()?;
    let mut all = decode_rows(from, total(&lengths)?, &processes, &endpoints)?.into_iter();
    for (window, length) in windows.iter_mut().zip(lengths) {
        window.http = all.by_ref().take(length).collect();
    }
    Ok(())
}

fn decode_rows(
    from: &mut Decoder<'_>,
    rows: usize,
    processes: &[u64],
    endpoints: &[Endpoint],
) -> Result<Vec<HttpStat>, CodecError> {
    let [
        mut process,
        mut place,
        mut count,
        mut errors,
        mut partial,
        mut sent,
        mut received,
        mut time,
        mut max,
        mut buckets,
    ] = read_columns(from, rows)?;
    let row = |_| {
        let place = usize::try_from(next(&mut place)?).ok();
        let endpoint = place.and_then(|place| endpoints.get(place)).ok_or(CodecError::Range("a place"))?;
        let total_ns = next(&mut time)?;
        let durations = decode_durations(from, next(&mut buckets)?)?;
        Ok(HttpStat {
            count: from_beside(next(&mut count)?, durations.count()),
            errors: next(&mut errors)?,
            partial: next(&mut partial)?,
            request_bytes: next(&mut sent)?,
            response_bytes: next(&mut received)?,
            total_ns,
            max_ns: total_ns.wrapping_sub(from_beside(next(&mut max)?, 0)),
            durations,
            ..HttpStat::new(ProcessId(at(processes, next(&mut process)?)?), endpoint.clone())
        })
    };
    (0..rows).map(row).collect()
}

fn decode_durations(from: &mut Decoder<'_>, buckets: u64) -> Result<Durations, CodecError> {
    let mut durations = Durations::default();
    for _ in 0..buckets {
        let bucket = u16::try_from(from.varint()?).map_err(|_| CodecError::Range("a bucket"))?;
        durations.add_to_bucket(bucket, from.varint()?);
    }
    Ok(durations)
}

fn encode_endpoint(to: &mut Encoder, endpoint: &Endpoint) {
    let place = |method: &&str| METHODS.iter().position(|known| known == method);
    to.u8(u8::from(endpoint.role == Role::Server));
    to.option_text(endpoint.server.as_deref());
    to.option(endpoint.port.map(u64::from));
    to.option(endpoint.method.as_ref().and_then(place).map(|place| place as u64));
    to.option_text(endpoint.route.as_deref());
    to.option(endpoint.status.map(u64::from));
    to.u8(endpoint.carried as u8);
}

fn decode_endpoint(from: &mut Decoder<'_>) -> Result<Endpoint, CodecError> {
    let small = |number: Option<u64>| {
        number.map(u16::try_from).transpose().map_err(|_| CodecError::Range("a number of 16 bits"))
    };
    let role = if from.flag()? { Role::Server } else { Role::Client };
    let server = decode_text(from, MAX_HOST)?;
    let port = small(from.option()?)?;
    let method = match from.option()? {
        None => None,
        Some(place) => {
            let known = usize::try_from(place).ok().and_then(|place| METHODS.get(place));
            Some(*known.ok_or(CodecError::Range("a method"))?)
        }
    };
    let route = decode_text(from, MAX_ROUTE)?;
    let status = small(from.option()?)?;
    let carried = Carried::ALL.get(usize::from(from.u8()?)).ok_or(CodecError::Range("what is carried"))?;
    Ok(Endpoint { role, server, port, method, route, status, carried: *carried })
}

fn decode_text(from: &mut Decoder<'_>, most: usize) -> Result<Option<Arc<str>>, CodecError> {
    let text = from.option_text()?;
    match text.is_some_and(|text| text.len() > most) {
        true => Err(CodecError::Range("a name")),
        false => Ok(text.map(Arc::from)),
    }
}
