//! The form of a line of the access log: nginx's `log_format`, its variables and its two ways of escaping.

/// How what clients say is made harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogEscape {
    /// `\xXX`; what is missing is `-`.
    #[default]
    Default,
    /// As inside a string of JSON; what is missing is empty.
    Json,
}

/// One value of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogVariable {
    /// `$remote_addr`: address of the client, the real one where proxies are trusted.
    RemoteAddr,
    /// `$remote_port`.
    RemotePort,
    /// `$server_addr`: this end of the connection.
    ServerAddr,
    /// `$server_port`.
    ServerPort,
    /// `$time_local`: `25/Nov/2026:12:00:00 +0000`, when the line is written, as all times.
    TimeLocal,
    /// `$time_iso8601`: `2026-11-25T12:00:00+00:00`.
    TimeIso8601,
    /// `$msec`: Unix seconds with milliseconds.
    Msec,
    /// `$request`: the whole request line.
    Request,
    /// `$request_method`.
    Method,
    /// `$request_uri`: path and query as they came.
    RequestUri,
    /// `$uri` and `$document_uri`: the path, percent-decoded.
    Uri,
    /// `$args` and `$query_string`.
    Args,
    /// `$is_args`: `?` before a query.
    IsArgs,
    /// `$server_protocol`: `HTTP/1.1`.
    Protocol,
    /// `$scheme`.
    Scheme,
    /// `$host`: of the request line or the Host header, lower case, without the port.
    Host,
    /// `$status`.
    Status,
    /// `$body_bytes_sent`.
    BodyBytesSent,
    /// `$bytes_sent`: with the head.
    BytesSent,
    /// `$request_length`: head and announced body.
    RequestLength,
    /// `$request_time`: seconds with milliseconds, from the head's arrival until the last byte is handed over.
    RequestTime,
    /// `$request_completion`: `OK` when the whole answer was handed over.
    RequestCompletion,
    /// `$request_id`: 32 hexadecimal digits.
    RequestId,
    /// `$upstream_addr`: the member that gave the file, where it is not here.
    UpstreamAddr,
    /// `$ssl_protocol`.
    SslProtocol,
    /// `$connection`: number of the connection.
    Connection,
    /// `$pid`.
    Pid,
    /// `$hostname`.
    Hostname,
    /// `$http_NAME`, `$content_type` and `$content_length`: a header of the request, in lower case with `-`.
    Header(String),
    /// `$sent_http_NAME`: a header of the answer.
    SentHeader(String),
    /// `$arg_NAME`: a parameter of the query, as it came.
    Arg(String),
    /// `$remote_user` and others that a gateway never has: always missing.
    Never,
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPart {
    /// As it stands.
    Text(String),
    /// What the request or its answer has.
    Variable(LogVariable),
}

/// The form of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFormat {
    /// How values are escaped.
    pub escape: LogEscape,
    /// What the line is made of.
    pub parts: Vec<LogPart>,
}

/// nginx's predefined format.
const COMBINED: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
                        \"$http_referer\" \"$http_user_agent\"";
/// Ours for machines.
const JSON: &str = concat!(
    r#"{"time":"$time_iso8601","msec":$msec,"remote_addr":"$remote_addr","method":"$request_method","#,
    r#""host":"$host","uri":"$uri","args":"$args","protocol":"$server_protocol","status":$status,"#,
    r#""body_bytes_sent":$body_bytes_sent,"request_time":$request_time,"request_completion":"$request_completion","#,
    r#""upstream_addr":"$upstream_addr","referer":"$http_referer","user_agent":"$http_user_agent","#,
    r#""x_forwarded_for":"$http_x_forwarded_for"}"#
);
/// nginx's variables of what a gateway does not have; formats of sites name them.
const NEVER: [&str; 12] = [
    "remote_user",
    "upstream_status",
    "upstream_response_time",
    "upstream_connect_time",
    "upstream_header_time",
    "upstream_response_length",
    "upstream_bytes_received",
    "upstream_bytes_sent",
    "upstream_cache_status",
    "gzip_ratio",
    "ssl_cipher",
    "pipe",
];

impl LogFormat {
    /// nginx's `combined`.
    pub fn combined() -> Self {
        Self::built_in(LogEscape::Default, COMBINED)
    }

    /// One object of JSON a line.
    pub fn json() -> Self {
        Self::built_in(LogEscape::Json, JSON)
    }

    fn built_in(escape: LogEscape, text: &str) -> Self {
        Self::parse(escape, text).expect("a test parses it")
    }

    /// Reads `$name` and `${name}`; refuses unknown ones.
    pub fn parse(escape: LogEscape, text: &str) -> Result<Self, String> {
        let mut parts: Vec<LogPart> = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            push_text(&mut parts, before);
            let (name, left) = variable_name(after)?;
            parts.push(LogPart::Variable(variable(name)?));
            rest = left;
        }
        push_text(&mut parts, rest);
        if text.contains(|c: char| c.is_control() && c != '\t') {
            return Err("control characters would break lines".to_owned());
        }
        Ok(Self { escape, parts })
    }
}

fn push_text(parts: &mut Vec<LogPart>, text: &str) {
    if !text.is_empty() {
        parts.push(LogPart::Text(text.to_owned()));
    }
}

/// The name behind a `$`, and what follows it.
fn variable_name(text: &str) -> Result<(&str, &str), String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (name, rest) = match text.strip_prefix('{') {
        Some(inner) => inner.split_once('}').ok_or("a ${ without }")?,
        None => text.split_at(text.find(|c| !is_part(c)).unwrap_or(text.len())),
    };
    if name.is_empty() || !name.chars().all(is_part) {
        return Err("a $ without the name of a variable".to_owned());
    }
    Ok((name, rest))
}

fn variable(name: &str) -> Result<LogVariable, String> {
    use LogVariable as V;
    let header = |name: &str| name.to_ascii_lowercase().replace('_', "-");
    Ok(match name {
        "remote_addr" => V::RemoteAddr,
        "remote_port" => V::RemotePort,
        "server_addr" => V::ServerAddr,
        "server_port" => V::ServerPort,
        "time_local" => V::TimeLocal,
        "time_iso8601" => V::TimeIso8601,
        "msec" => V::Msec,
        "request" => V::Request,
        "request_method" => V::Method,
        "request_uri" => V::RequestUri,
        "uri" | "document_uri" => V::Uri,
        "args" | "query_string" => V::Args,
        "is_args" => V::IsArgs,
        "server_protocol" => V::Protocol,
        "scheme" => V::Scheme,
        "host" => V::Host,
        "status" => V::Status,
        "body_bytes_sent" => V::BodyBytesSent,
        "bytes_sent" => V::BytesSent,
        "request_length" => V::RequestLength,
        "request_time" => V::RequestTime,
        "request_completion" => V::RequestCompletion,
        "request_id" => V::RequestId,
        "upstream_addr" => V::UpstreamAddr,
        "ssl_protocol" => V::SslProtocol,
        "connection" => V::Connection,
        "pid" => V::Pid,
        "hostname" => V::Hostname,
        "content_type" | "content_length" => V::Header(header(name)),
        _ if NEVER.contains(&name) => V::Never,
        _ => {
            let rest = |prefix| name.strip_prefix(prefix).filter(|rest| !rest.is_empty());
            if let Some(rest) = rest("sent_http_") {
                V::SentHeader(header(rest))
            } else if let Some(rest) = rest("http_") {
                V::Header(header(rest))
            } else if let Some(rest) = rest("arg_") {
                V::Arg(rest.to_owned())
            } else {
                return Err(format!(
                    "${name} is no variable that is known here; gateway/README.md lists those that are"
                ));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_formats_are_readable() {
        assert_eq!(LogFormat::combined().parts.len(), 16);
        assert_eq!(LogFormat::json().escape, LogEscape::Json);
    }

    #[test]
    fn names_end_where_nginx_ends_them() {
        use LogPart::{Text, Variable};
        let parse = |text| LogFormat::parse(LogEscape::Default, text).unwrap().parts;
        let text = |text: &str| Text(text.to_owned());
        let expected = vec![
            Variable(LogVariable::Header("x-forwarded-for".to_owned())),
            text("x"),
            Variable(LogVariable::Status),
            text("-"),
            Variable(LogVariable::Arg("w".to_owned())),
        ];
        assert_eq!(parse("${http_x_forwarded_for}x$status-$arg_w"), expected);
        assert_eq!(parse("plain"), vec![text("plain")]);
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for text in ["$nothing", "$", "a ${status", "${}", "$http_", "line\nline", "$-"] {
            assert!(LogFormat::parse(LogEscape::Default, text).is_err(), "{text:?}");
        }
    }
}
