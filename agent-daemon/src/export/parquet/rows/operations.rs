//! Operations into rows: one by one, and those that were added up.

use super::{Outcome, Rows, identity};
use crate::{
    export::parquet::{column::Cell, table_id::TableId},
    model::{
        id::AgentId,
        operation::{Bill, Call, Llm, Operation, Sum, SumKey},
        price::Cost,
        process::Exit,
        time::Timestamp,
        wire::Reason,
    },
};

impl Rows {
    pub(in crate::export::parquet) fn operation(&mut self, operation: &Operation) -> Outcome {
        let trace = operation.trace;
        let calls: Vec<_> = operation.calls.iter().map(call).collect();
        let tool = operation.tool.as_deref();
        let bill = |part: fn(&Bill) -> u64| tool.map(|tool| part(&tool.bill));
        let (code, signal) = match tool.and_then(|tool| tool.exit) {
            Some(Exit::Code(code)) => (Some(u32::from(code)), None),
            Some(Exit::Signal { number, .. }) => (None, Some(u32::from(number))),
            None => (None, None),
        };
        let known = [
            format!("{:016x}", operation.id).into(),
            (&*operation.project).into(),
            operation.source.name().into(),
            operation.kind.as_str().into(),
            operation.name.as_str().into(),
            operation.start.into(),
            operation.duration_ns.into(),
            operation.bytes.into(),
            operation.success.into(),
            operation.error_type.as_deref().into(),
            operation.method.as_deref().into(),
            operation.status.map(u32::from).into(),
            operation.model.as_deref().into(),
            operation.user.as_deref().into(),
            operation.session.as_deref().into(),
            trace.map(|trace| hexadecimal(&trace.trace)).into(),
            trace.map(|trace| hexadecimal(&trace.span)).into(),
            trace.and_then(|trace| trace.parent).map(|parent| hexadecimal(&parent)).into(),
            // Texts and numbers always become JSON.
            serde_json::to_string(&operation.labels).unwrap_or_default().into(),
            serde_json::to_string(&calls).unwrap_or_default().into(),
            operation.agent.as_ref().map(AgentId::as_str).into(),
            operation.process.map(|process| process.pid()).into(),
            operation.process.map(identity).into(),
            tool.map(|tool| tool.end.name()).into(),
            code.into(),
            signal.into(),
            bill(|b| b.user_ns).into(),
            bill(|b| b.system_ns).into(),
            bill(|b| b.peak_rss_bytes).into(),
            bill(|b| b.read_chars).into(),
            bill(|b| b.written_chars).into(),
            bill(|b| b.read_bytes).into(),
            bill(|b| b.written_bytes).into(),
            bill(|b| b.processes).into(),
        ];
        self.tables.push_both(TableId::Operations, known, of_llm(operation.llm.as_deref()))
    }

    /// A row of a stretch.
    pub(in crate::export::parquet) fn operation_sum(
        &mut self,
        (start, end): (Timestamp, Timestamp),
        (key, sum): (&SumKey, &Sum),
    ) -> Outcome {
        let quantile = |q| sum.durations.quantile(q, sum.max_ns);
        self.tables.push(
            TableId::OperationSums,
            [
                start.into(),
                end.into(),
                (&*key.project).into(),
                key.source.name().into(),
                key.kind.as_str().into(),
                key.name.as_str().into(),
                key.model.as_deref().into(),
                key.agent.as_ref().map(AgentId::as_str).into(),
                sum.count.into(),
                sum.errors.into(),
                sum.total_ns.into(),
                sum.max_ns.into(),
                quantile(0.5).into(),
                quantile(0.95).into(),
                quantile(0.99).into(),
                sum.bytes.into(),
                sum.users.count().into(),
                sum.sessions.count().into(),
                sum.bill.user_ns.into(),
                sum.bill.system_ns.into(),
                sum.bill.peak_rss_bytes.into(),
                sum.bill.read_chars.into(),
                sum.bill.written_chars.into(),
                sum.bill.read_bytes.into(),
                sum.bill.written_bytes.into(),
                sum.bill.processes.into(),
                sum.llm.input.into(),
                sum.llm.output.into(),
                sum.llm.cache_read.into(),
                sum.llm.cache_write.into(),
                sum.llm.reasoning.into(),
                sum.llm.cost.usd().into(),
                sum.llm.priced.into(),
                sum.llm.counted.into(),
                sum.llm.estimated.into(),
            ],
        )
    }
}

/// What was read of a call of a model.
fn of_llm(llm: Option<&Llm>) -> [Cell; 18] {
    [
        llm.map(|llm| llm.provider.as_str()).into(),
        llm.map(|llm| llm.asked.name()).into(),
        llm.and_then(|llm| llm.server.as_deref()).into(),
        llm.and_then(|llm| llm.response_model.as_deref()).into(),
        llm.map(|llm| llm.stream).into(),
        llm.and_then(|llm| llm.connect_ns).into(),
        llm.and_then(|llm| llm.first_byte_ns).into(),
        llm.and_then(|llm| llm.first_content_ns).into(),
        llm.and_then(|llm| llm.tokens.input).into(),
        llm.and_then(|llm| llm.tokens.output).into(),
        llm.and_then(|llm| llm.tokens.cache_read).into(),
        llm.and_then(|llm| llm.tokens.cache_write).into(),
        llm.and_then(|llm| llm.tokens.reasoning).into(),
        llm.map(|llm| llm.usage.name()).into(),
        llm.and_then(|llm| llm.cost).map(Cost::usd).into(),
        llm.and_then(|llm| llm.finish_reason.as_deref()).into(),
        llm.map(|llm| llm.retries).into(),
        llm.map(partial).into(),
    ]
}

fn partial(llm: &Llm) -> String {
    llm.partial.reasons().map(Reason::name).collect::<Vec<_>>().join(" ")
}

fn call(call: &Call) -> (u8, &str, u64) {
    (call.depth, &call.name, call.duration_ns)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
