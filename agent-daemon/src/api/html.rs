//! The frame of every page: self-contained, without scripts, from no other host. What a program may have
//! chosen (names, reasons) goes through [`escape`].

use axum::{
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
};

/// Nothing may be loaded from anywhere; the page's own style is inside.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; \
                      frame-ancestors 'none'";

const STYLE: &str = include_str!("style.css");

/// Text that means itself in HTML and XML, inside elements and quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // XML has no way to write most of them.
            c if c.is_control() && !matches!(c, '\n' | '\t') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A page with this title around `body`, which is HTML; loaded anew every `refresh` seconds.
pub(super) fn page(title: &str, refresh: Option<u32>, body: &str) -> Response {
    let title = escape(title);
    let refresh =
        refresh.map_or_else(String::new, |s| format!("<meta http-equiv=\"refresh\" content=\"{s}\">\n"));
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n{refresh}\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header><a href=\"/\">agentperf</a><nav><a href=\"/api/v1/status\">status</a>\
         <a href=\"/api/v1/docs\">API</a><a href=\"/debug/pprof/\">pprof</a></nav></header>\n\
         <main>\n<h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n"
    );
    let policy = (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    ([policy], Html(html)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_means_itself() {
        assert_eq!(
            escape("<a href=\"x\" b='y'>&\u{0}"),
            "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;\u{fffd}"
        );
    }
}
