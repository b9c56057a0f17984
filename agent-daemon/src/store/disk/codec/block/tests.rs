//! Whatever the windows are, they come back; whatever the bytes are, decoding ends.

use proptest::{
    option,
    prelude::{Strategy, any, prop_assert_eq, proptest},
    sample::select,
};

use super::{Numbered, VERSION, decode, encode, off_cpu::descriptor_of, time_of};
use crate::{
    model::{
        cuda::{CudaCall, CudaStat},
        disk::{DiskOperation, DiskStat},
        file::FileStat,
        http::{Endpoint, HttpStat},
        id::ProcessId,
        ledger::{Bit, Ledger, StateSet},
        network::{NetworkStat, Peer, Protocol, Side},
        off_cpu::{Descriptor, OffCpuStat, WaitCause},
        operation::Durations,
        syscall::{BUCKETS, Histogram, SyscallStat},
        window::CpuStat,
        wire::{Carried, METHODS, Role},
    },
    store::fixture::{agent_at, at},
};

/// Small numbers and any.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64u32).prop_map(|(n, shift)| n >> shift)
}

fn process() -> impl Strategy<Value = ProcessId> {
    number().prop_map(ProcessId)
}

fn syscall() -> impl Strategy<Value = SyscallStat> {
    let errors = proptest::collection::vec((any::<u32>(), number()), 0..3);
    let buckets = proptest::collection::vec((0..BUCKETS, number()), 0..4);
    let numbers = (number(), number(), number());
    (process(), any::<u32>(), numbers, errors, buckets).prop_map(|(process, number, n, errors, buckets)| {
        let mut histogram = Histogram::default();
        for (bucket, count) in buckets {
            histogram.0[bucket] = count;
        }
        SyscallStat { process, number, count: n.0, errors, total_ns: n.1, max_ns: n.2, histogram }
    })
}

fn wait() -> impl Strategy<Value = OffCpuStat<u64>> {
    let descriptor = (0..8u64).prop_map(|tag| descriptor_of(tag).unwrap());
    let key = (process(), select(WaitCause::ALL.as_slice()), option::of(any::<u32>()), descriptor);
    let more = (option::of(any::<u32>()), number(), number(), number(), number(), number());
    (key, more).prop_map(|((process, cause, syscall, descriptor), n)| OffCpuStat {
        process,
        cause,
        syscall,
        descriptor,
        waker: n.0,
        stack: n.1,
        blocked_ns: n.2,
        run_queue_ns: n.3,
        count: n.4,
        max_ns: n.5,
    })
}

fn sample() -> impl Strategy<Value = CpuStat<u64>> {
    (process(), number(), number(), number()).prop_map(|(process, stack, samples, cpu_ns)| CpuStat {
        process,
        stack,
        samples,
        cpu_ns,
    })
}

fn ledger() -> impl Strategy<Value = Ledger> {
    let set = (any::<u64>(), number()).prop_map(|(bits, ns)| (StateSet::from_bits(bits), ns));
    let thread = (select(Bit::all().collect::<Vec<_>>()), number());
    let rows = (proptest::collection::vec(set, 0..4), proptest::collection::vec(thread, 0..4));
    rows.prop_map(|(sets, threads)| Ledger { sets, threads })
}

fn cuda() -> impl Strategy<Value = CudaStat> {
    let numbers = (number(), number(), number(), number(), number());
    (process(), select(CudaCall::ALL.as_slice()), numbers).prop_map(|(process, call, n)| CudaStat {
        process,
        call,
        calls: n.0,
        errors: n.1,
        bytes: n.2,
        total_ns: n.3,
        max_ns: n.4,
    })
}

fn latencies() -> impl Strategy<Value = Histogram> {
    proptest::collection::vec((0..BUCKETS, number()), 0..3).prop_map(|counts| {
        let mut histogram = Histogram::default();
        counts.into_iter().for_each(|(bucket, count)| histogram.0[bucket] = count);
        histogram
    })
}

fn peer() -> impl Strategy<Value = Peer> {
    let place = (any::<Option<std::net::IpAddr>>(), any::<u16>(), select(Protocol::ALL.as_slice()));
    let side = select([Side::Client, Side::Server].as_slice());
    let host = option::of("[a-z.]{1,20}");
    (place, side, host).prop_map(|((address, port, protocol), side, host)| Peer {
        address,
        port,
        protocol,
        side,
        host: host.map(Into::into),
    })
}

fn traffic() -> impl Strategy<Value = NetworkStat> {
    let failures = proptest::collection::btree_map(any::<u32>(), number(), 0..3);
    let numbers = (number(), number(), number(), number(), number(), number(), number());
    let row = (process(), peer(), numbers, failures, latencies());
    row.prop_map(|(process, peer, n, failures, connect_histogram)| NetworkStat {
        sent_bytes: n.0,
        received_bytes: n.1,
        connects: n.2,
        accepts: n.3,
        retransmits: n.4,
        connect_ns: n.5,
        connect_max_ns: n.6,
        failures: failures.into_iter().collect(),
        connect_histogram,
        ..NetworkStat::new(process, peer)
    })
}

fn requests() -> impl Strategy<Value = DiskStat> {
    let numbers = (number(), number(), number(), number(), number(), number());
    let what = ("[a-z0-9:]{0,8}", select(DiskOperation::ALL.as_slice()), any::<bool>());
    let row = (process(), what, numbers, latencies());
    row.prop_map(|(process, (device, operation, background), n, histogram)| DiskStat {
        count: n.0,
        errors: n.1,
        bytes: n.2,
        queue_ns: n.3,
        device_ns: n.4,
        max_ns: n.5,
        histogram,
        ..DiskStat::new(process, device.into(), operation, background)
    })
}

fn exchanges() -> impl Strategy<Value = HttpStat> {
    let asked =
        (option::of("[a-z.]{1,20}"), option::of(any::<u16>()), option::of(select(METHODS.as_slice())));
    let what = (select([Role::Client, Role::Server].as_slice()), select(Carried::ALL.as_slice()));
    let answer = (option::of("/.{0,8}"), option::of(any::<u16>()));
    let endpoint = (asked, what, answer).prop_map(|(asked, (role, carried), (route, status))| Endpoint {
        role,
        server: asked.0.map(Into::into),
        port: asked.1,
        method: asked.2,
        route: route.map(Into::into),
        status,
        carried,
    });
    let durations = proptest::collection::vec((0..976u16, number()), 0..3).prop_map(|counts| {
        let mut durations = Durations::default();
        counts.into_iter().for_each(|(bucket, count)| durations.add_to_bucket(bucket, count));
        durations
    });
    let numbers = proptest::array::uniform7(number());
    (process(), endpoint, numbers, durations).prop_map(|(process, endpoint, n, durations)| HttpStat {
        count: n[0],
        errors: n[1],
        partial: n[2],
        request_bytes: n[3],
        response_bytes: n[4],
        total_ns: n[5],
        max_ns: n[6],
        durations,
        ..HttpStat::new(process, endpoint)
    })
}

fn file() -> impl Strategy<Value = FileStat> {
    (process(), "/.{0,6}", proptest::array::uniform10(number()))
        .prop_map(|(process, path, amounts)| FileStat::with(process, path.into(), amounts))
}

fn window() -> impl Strategy<Value = Numbered> {
    let rows = (
        proptest::collection::vec(syscall(), 0..4),
        proptest::collection::vec(wait(), 0..4),
        proptest::collection::vec(sample(), 0..4),
        proptest::collection::vec((process(), ".{0,8}"), 0..2),
        ledger(),
        proptest::collection::vec(cuda(), 0..4),
        proptest::collection::vec(file(), 0..4),
        (
            proptest::collection::vec(traffic(), 0..4),
            proptest::collection::vec(requests(), 0..4),
            proptest::collection::vec(exchanges(), 0..4),
        ),
    );
    (any::<i64>(), any::<i64>(), rows).prop_map(|(start, end, rows)| Numbered {
        agent: agent_at(at(0)).id,
        start: time_of(start),
        end: time_of(end),
        syscalls: rows.0,
        off_cpu: rows.1,
        cpu: rows.2,
        cuda: rows.5,
        files: rows.6,
        network: rows.7.0,
        disk: rows.7.1,
        http: rows.7.2,
        ledger: rows.4,
        unread: rows.3,
    })
}

/// As it comes back, for comparison.
fn sorted(mut windows: Vec<Numbered>) -> String {
    for window in &mut windows {
        window.syscalls.sort_by_key(|r| (r.process, r.number));
        window.off_cpu.sort_by_key(|r| (r.process, r.stack, r.cause, r.syscall, r.descriptor, r.waker));
        window.cpu.sort_by_key(|r| (r.process, r.stack));
        window.cuda.sort_by_key(|r| (r.process, r.call));
        window.files.sort_by(|a, b| (&a.path, a.process).cmp(&(&b.path, b.process)));
        window.network.sort_by(|a, b| (a.process, &a.peer).cmp(&(b.process, &b.peer)));
        window.disk.sort_by_key(|r| (r.process, r.operation, r.background, r.device.clone()));
        window.http.sort_by(|a, b| (a.process, &a.endpoint).cmp(&(b.process, &b.endpoint)));
    }
    format!("{windows:?}")
}

proptest! {
    #[test]
    fn windows_come_back(windows in proptest::collection::vec(window(), 0..4)) {
        let bytes = encode(&windows);
        prop_assert_eq!(sorted(decode(&bytes, &agent_at(at(0)).id).unwrap()), sorted(windows));
    }

    #[test]
    fn damaged_windows_end_in_windows_or_an_error(
        windows in proptest::collection::vec(window(), 1..3), at_byte in any::<usize>(), mask in 1..=255u8, cut in any::<bool>()
    ) {
        let mut bytes = encode(&windows);
        let at_byte = at_byte % bytes.len();
        if cut { bytes.truncate(at_byte) } else { bytes[at_byte] ^= mask }
        let decoded = decode(&bytes, &agent_at(at(0)).id);
        if cut {
            prop_assert_eq!(decoded.is_err(), true);
        }
    }

    #[test]
    fn any_bytes_end_in_windows_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for version in 1..=VERSION {
            let bytes: Vec<_> = [version].into_iter().chain(bytes.clone()).collect();
            let _ = decode(&bytes, &agent_at(at(0)).id);
        }
    }
}

#[test]
fn every_descriptor_has_a_tag() {
    assert_eq!(descriptor_of(7), Ok(Some(Descriptor::Anonymous)));
    assert!(descriptor_of(8).is_err());
}
