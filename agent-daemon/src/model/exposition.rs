//! Forms of the text that Prometheus scrapes, and the same samples one by one.

use super::time::Timestamp;

/// A form, by what the scraper accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFormat {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus's text form 0.0.4, which everything reads.
    Prometheus,
}

impl TextFormat {
    /// The form for a request with this `Accept` header.
    #[must_use]
    pub fn for_accept(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The media type of an answer in this form.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Whoever can write that text: metrics are counted by a sink of the store, and served by another one.
pub trait Exposition: Send + Sync {
    /// Every metric and its value of now.
    fn text(&self, format: TextFormat) -> String;
}

/// Who is shown samples: metric, labels and value of each.
pub type ShowSample<'s> = dyn FnMut(&str, &[(&str, &str)], f64) + 's;

/// Whoever can show the same samples one by one: those that alerts are decided by are those that others scrape.
pub trait Samples: Send + Sync {
    /// Shows every sample at this instant of the metrics that are wanted.
    fn samples(&self, at: Timestamp, wanted: &dyn Fn(&str) -> bool, show: &mut ShowSample<'_>);
}
