//! What coverage says of processes, by their attachments and what was seen of them.

use super::*;
use crate::{
    model::{attachment::LIBC_FINDER, id::ProcessId},
    store::fixture::at,
};

fn library(state: AttachmentState) -> Attachment {
    Attachment {
        process: ProcessId(1),
        file: "/usr/lib/libssl.so.3".to_owned(),
        finder: "openssl",
        version: None,
        sites: 4,
        state,
        since: Some(at(5)),
        reason: (state != AttachmentState::Attached).then(|| "it exports nothing".to_owned()),
    }
}

fn state(tls: &[Attachment], seen: &Seen) -> (CoverageStateDto, Why) {
    judge(&tls.iter().collect::<Vec<_>>(), seen, (&None, at(100)))
}

#[test]
fn who_asks_a_model_unseen_is_blind_with_a_reason() {
    let asked = Seen {
        unseen_since: Some(at(90)),
        last_model_request: Some(at(90)),
        model_requests: 1,
        ..Seen::default()
    };
    let before = Seen { last_seen: Some(at(80)), is_told: true, ..asked.clone() };
    let late = Attachment { since: Some(at(91)), ..library(AttachmentState::Attached) };
    for (tls, seen, says) in [
        (vec![], &asked, "no TLS library"),
        (vec![library(AttachmentState::Blind)], &asked, "exports nothing"),
        (vec![library(AttachmentState::Attached)], &asked, "another TLS library"),
        (vec![late], &asked, "it asked before /usr/lib/libssl.so.3 was probed, and not since"),
        (vec![library(AttachmentState::Attached)], &before, "was seen before"),
        (
            vec![library(AttachmentState::Attached), library(AttachmentState::Blind)],
            &asked,
            "not probed: /usr/lib/libssl.so.3: it exports nothing",
        ),
    ] {
        let (state, why) = state(&tls, seen);
        assert_eq!(state, CoverageStateDto::Blind);
        let (reason, remedy) = why.unwrap();
        assert!(reason.contains(says) && remedy.contains("OpenTelemetry"), "{reason}");
    }
    let just_now = Seen { unseen_since: Some(at(99)), ..asked };
    assert_eq!(state(&[library(AttachmentState::Attached)], &just_now).0, CoverageStateDto::Attached);
}

#[test]
fn who_ended_unread_is_told_with_the_reason() {
    use AttachmentState::{Attached, Blind};
    let nothing = Seen::default();
    let empty = Seen { last_seen: Some(at(80)), is_told: true, ..Seen::default() };
    let midst = Seen { received_bytes: 7, ..empty.clone() };
    let others = Seen { is_read: true, ..midst.clone() };
    for (states, seen, says) in [
        (&[][..], &nothing, "before its probes were attached"),
        (&[Blind], &nothing, "/usr/lib/libssl.so.3: it exports nothing"),
        (&[Attached], &nothing, "or uses another TLS library"),
        (&[Attached, Blind], &nothing, "or by what is not: /usr/lib/libssl.so.3: it exports nothing"),
        (&[Attached], &empty, "it had asked before /usr/lib/libssl.so.3 was probed"),
        (&[Attached], &midst, "no request of it was seen from its beginning"),
        (&[Attached], &others, "other requests of it were seen"),
    ] {
        let (tls, seen) = (states.iter().copied().map(library).collect(), seen.clone());
        let reason = unread_because(&Unread { process: ProcessId(1), ended: at(90), seen, tls });
        assert!(reason.contains(says), "{reason}");
    }
}

#[test]
fn a_kernel_that_does_not_tell_of_sockets_is_a_reason() {
    let asked = Seen { unseen_since: Some(at(90)), last_model_request: Some(at(90)), ..Seen::default() };
    let (state, why) = judge(&[], &asked, (&Some("no such tracepoint".to_owned()), at(100)));
    assert_eq!(state, CoverageStateDto::Blind);
    assert!(why.unwrap().0.contains("without TLS, of which this kernel does not tell: no such tracepoint"));
}

#[test]
fn a_server_that_cannot_be_read_says_why() {
    let stdio = Attachment { finder: LIBC_FINDER, ..library(AttachmentState::Blind) };
    let (state, why) = state(&[stdio], &Seen::default());
    assert_eq!(state, CoverageStateDto::Unattached);
    assert!(why.unwrap().1.contains("dynamically"));
}

#[test]
fn tls_that_is_not_read_is_named_where_nothing_else_is() {
    use CoverageStateDto::{Attached, Blind, Seen as IsSeen, Unattached};
    let gnutls = || Attachment {
        finder: "gnutls",
        file: "/usr/lib/libgnutls.so.30".to_owned(),
        reason: Some("it is GnuTLS, which is not read".to_owned()),
        ..library(AttachmentState::Blind)
    };
    let asked = Seen { unseen_since: Some(at(90)), last_model_request: Some(at(90)), ..Seen::default() };
    let told = Seen { last_seen: Some(at(80)), is_told: true, ..asked.clone() };
    let both = || vec![library(AttachmentState::Attached), gnutls()];
    for (tls, seen, expected, says, helps) in [
        (vec![gnutls()], &asked, Blind, "libgnutls.so.30: it is GnuTLS", "by OpenSSL, or"),
        (vec![gnutls()], &Seen::default(), Unattached, "it is GnuTLS, which is not read", "by OpenSSL"),
        (both(), &asked, Blind, "by what is not probed: /usr/lib/libgnutls.so.30", "OpenTelemetry"),
        (both(), &told, Blind, "may speak by what is not probed", "OpenTelemetry"),
    ] {
        let (state, why) = state(&tls, seen);
        let (reason, remedy) = why.unwrap();
        assert_eq!(state, expected, "{reason}");
        assert!(reason.contains(says) && remedy.contains(helps), "{reason}; {remedy}");
    }
    // Many map it and speak by OpenSSL.
    assert_eq!(state(&both(), &Seen::default()), (Attached, None));
    let seen = Seen { last_seen: Some(at(80)), is_told: true, ..Seen::default() };
    assert_eq!(state(&both(), &seen), (IsSeen, None));
}

#[test]
fn what_is_seen_needs_no_reason() {
    let seen = Seen { last_seen: Some(at(80)), ..Seen::default() };
    assert_eq!(state(&[library(AttachmentState::Attached)], &seen), (CoverageStateDto::Seen, None));
    let (state, why) = state(&[library(AttachmentState::Refused)], &Seen::default());
    assert_eq!(state, CoverageStateDto::Unattached);
    assert!(why.unwrap().0.contains("libssl.so.3"));
}
