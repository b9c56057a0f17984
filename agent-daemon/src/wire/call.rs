//! What an exchange comes to when it is over: an HTTP exchange, and a call of a model if it was one.

use super::{
    derived::Derived,
    exchange::{Ending, Exchange},
    facts::Facts,
    head::Media,
    provider::Recognised,
    retries::Attempt,
    said::unmasked,
};
use crate::model::{
    route::endpoint_of,
    wire::{Carried, Evidence, HttpExchange, LlmCall, Partial, Reason, Tokens, Usage, WireRecord},
};

/// Tells what an exchange was.
pub(super) fn tell(mut exchange: Exchange, ending: Ending, derived: &mut Derived) {
    let mut answer = exchange.partial;
    answer.merge(exchange.response.body.partial());
    let mut partial = answer;
    partial.merge(exchange.request.body.partial());
    let started_ns = exchange.request.began_ns.or(exchange.response.began_ns).unwrap_or(exchange.last_ns);
    let summary = Summary { started_ns, ending, partial, answer };
    let mut http = summary.http(&exchange);
    if let Some(mut call) = summary.llm(&mut exchange) {
        http.carried = Carried::Llm;
        summary.link(&exchange, &mut call, derived);
        derived.record(WireRecord::Llm(Box::new(call)));
    } else if exchange.is_mcp {
        http.carried = Carried::Mcp;
        let (number, status, at_ns) = (exchange.origin.exchange, http.status, exchange.last_ns);
        let has_more = exchange.response.ended && exchange.response.body.media() == Media::EventStream;
        for call in derived.calls.exchange_ended(number, status, at_ns, (partial, has_more)) {
            derived.record(call);
        }
    }
    if !exchange.is_inner {
        derived.record(WireRecord::Http(http));
    }
}

#[derive(Clone, Copy)]
struct Summary {
    started_ns: u64,
    ending: Ending,
    partial: Partial,
    /// What is missing that may have been of the answer.
    answer: Partial,
}

impl Summary {
    fn http(&self, exchange: &Exchange) -> HttpExchange {
        let request = exchange.request.head.as_ref();
        let response = exchange.response.head.as_ref();
        HttpExchange {
            origin: exchange.origin,
            role: exchange.context.role,
            version: exchange.context.version,
            method: request.and_then(|head| head.method),
            server: request.and_then(|head| head.host.clone()),
            port: request.and_then(|head| head.port),
            route: request.and_then(|head| head.path.as_deref()).and_then(endpoint_of),
            status: response.and_then(|head| head.status),
            grpc_status: response.and_then(|head| head.grpc_status),
            request_bytes: exchange.request.body.bytes,
            response_bytes: exchange.response.body.bytes,
            started_ns: self.started_ns,
            first_byte_ns: exchange.waited_ns(exchange.response.began_ns),
            duration_ns: exchange.last_ns.saturating_sub(self.started_ns),
            carried: Carried::Other,
            partial: self.partial,
        }
    }

    fn llm(&self, exchange: &mut Exchange) -> Option<LlmCall> {
        let (mut recognised, mut request, mut response) = exchange.spoken()?;
        let head = exchange.response.head.as_ref();
        recognised.answered_by(response.server.or(head.and_then(|head| head.server)));
        if !borne_out(&recognised, &request, &response) {
            return None;
        }
        let operation = recognised.dialect.operation?;
        let counts = head.map(|head| head.counts).unwrap_or_default();
        response.headers_count(counts.input, counts.output);
        let ended = exchange.response.ended || response.ended;
        let sides = [(request.said.take(), exchange.request.ended), (response.said.take(), ended)];
        let said = exchange.held.take().and_then(|held| unmasked(exchange.keep, held, sides));
        let (tokens, usage) = self.tokens(&recognised, &response, ended);
        let stream = self.stream(exchange, &recognised, &request);
        let since = |at_ns: u64| at_ns.saturating_sub(self.started_ns);
        let first_content_ns = exchange.waited_ns(response.pace.first().filter(|_| stream));
        let pace = &response.pace;
        let gaps = pace.gaps().filter(|_| stream);
        let status = response.status.or(head.and_then(|head| head.status));
        Some(LlmCall {
            origin: exchange.origin,
            role: exchange.context.role,
            provider: recognised.provider.name,
            evidence: recognised.evidence,
            operation,
            server: exchange.request.head.as_ref().and_then(|head| head.host.clone()),
            request_model: request.model.or(recognised.model),
            stream,
            status,
            error_type: self.error(status, &response, ended),
            started_ns: self.started_ns,
            is_first: exchange.context.is_first,
            connect_ns: None,
            first_byte_ns: exchange.waited_ns(exchange.response.began_ns),
            first_content_ns,
            chunks: if stream { pace.chunks } else { 0 },
            gap_mean_ns: gaps.map(|(mean, _)| mean),
            gap_p99_ns: gaps.map(|(_, p99)| p99),
            duration_ns: since(exchange.last_ns),
            request_bytes: exchange.request.body.decoded_bytes(),
            tokens,
            usage,
            finish_reason: response.finish,
            response_model: response.response_model,
            tools: response.tools,
            said,
            retry_of: None,
            retries: 0,
            partial: self.partial,
        })
    }

    /// Tokens, as far as they were told to the end.
    fn tokens(&self, recognised: &Recognised, response: &Facts, ended: bool) -> (Tokens, Usage) {
        let mut tokens = response.tokens(recognised.dialect.counting);
        let whole = ended && !self.answer.is_partial();
        // A count that goes up as the answer does is not the last one.
        if !whole && response.finish.is_none() {
            (tokens.output, tokens.reasoning) = (None, None);
        }
        let usage = match (response.has_usage(), whole) {
            (true, _) => Usage::Sent,
            (false, true) => Usage::NotSent,
            (false, false) => Usage::Unseen,
        };
        (tokens, usage)
    }

    fn stream(&self, exchange: &Exchange, recognised: &Recognised, request: &Facts) -> bool {
        match exchange.response.body.media() {
            Media::EventStream | Media::AwsEventStream | Media::JsonLines => true,
            // A stream that was asked for may be refused, in one piece.
            Media::Json => recognised.stream.unwrap_or(false),
            Media::Other => recognised.stream.or(request.stream).unwrap_or(false),
        }
    }

    fn error(&self, status: Option<u16>, response: &Facts, ended: bool) -> Option<String> {
        let told = || response.error().map(str::to_owned);
        match (status, self.ending) {
            (Some(status @ 400..), _) => Some(told().unwrap_or_else(|| status.to_string())),
            _ if response.failed => Some(told().unwrap_or_else(|| "_OTHER".to_owned())),
            _ if ended => None,
            (_, Ending::CutOff) => Some("cut_off".to_owned()),
            (_, Ending::Cancelled) => Some("cancelled".to_owned()),
            (_, Ending::Answered | Ending::Unseen(_)) => None,
        }
    }

    fn link(&self, exchange: &Exchange, call: &mut LlmCall, derived: &mut Derived) {
        // Of half a request nobody knows whether it is the same.
        let seen = !self.partial.has(Reason::AttachedLate) && exchange.request.ended;
        if !seen {
            return;
        }
        let attempt = Attempt {
            owner: exchange.origin.owner,
            request: exchange.asked(),
            exchange: exchange.origin.exchange,
            started_ns: self.started_ns,
            ended_ns: exchange.last_ns,
            failed: call.error_type.is_some(),
        };
        if let Some((before, attempts)) = derived.retries.link(attempt) {
            call.retry_of = Some(before);
            call.retries = attempts;
        }
    }
}

/// Whether the bodies say that this is a call, where the host does not.
fn borne_out(recognised: &Recognised, request: &Facts, response: &Facts) -> bool {
    match recognised.evidence {
        Evidence::Host | Evidence::Answer => true,
        Evidence::Path => request.asked || response.answered || response.has_usage(),
        Evidence::Shape => response.answered,
    }
}
