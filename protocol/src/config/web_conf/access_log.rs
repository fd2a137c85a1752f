//! The access log of file URLs: `http.access_log`, `http.log_format`, `http.access_log_flush`. Not the log of native
//! commands, which FastDFS's `[access-log]` is.

use std::path::PathBuf;
use std::time::Duration;

use super::super::reader::KeyReader;
use super::log_format::{LogEscape, LogFormat};

const LOG: &str = "http.access_log";
const FORMAT: &str = "http.log_format";
/// Longest time that a line may wait.
const MAX_FLUSH_SECONDS: u64 = 3600;

/// An access log that is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpLogConf {
    /// Where lines go; a relative name in the configuration is below `base_path`.
    pub path: PathBuf,
    /// What they say.
    pub format: LogFormat,
    /// Longest time that a line waits before it is written.
    pub flush: Duration,
}

impl HttpLogConf {
    pub(super) fn read(keys: &mut KeyReader<'_>) -> Option<Self> {
        let formats = read_formats(keys);
        let flush = keys.seconds("http.access_log_flush", 1);
        let flush =
            Duration::from_secs(keys.clamp("http.access_log_flush", flush.as_secs(), 1, MAX_FLUSH_SECONDS));
        let text = keys.text_or_none(LOG)?;
        let mut words = text.split_whitespace();
        let path = words.next().filter(|path| *path != "off")?;
        let name = words.next().unwrap_or("combined");
        if let Some(more) = words.next() {
            let why = format!(
                "'{more}' is too much; write PATH or PATH FORMAT or off; the time of \
                               writing is http.access_log_flush"
            );
            keys.refuse(LOG, why);
        }
        let named = formats.into_iter().find(|(given, _)| given == name).map(|(_, format)| format);
        let format = match (named, name) {
            (Some(format), _) => format,
            (None, "combined") => LogFormat::combined(),
            (None, "json") => LogFormat::json(),
            (None, _) => {
                let why = format!(
                    "no {FORMAT} is called {name}; write combined, json, or a line {FORMAT} = {name} ..."
                );
                keys.refuse(LOG, why);
                return None;
            }
        };
        let base = keys.path("base_path").unwrap_or_default();
        Some(Self { path: base.join(path), format, flush })
    }
}

/// All formats by name. Several lines of one name are one text, since a line of a configuration has at most 255 bytes.
fn read_formats(keys: &mut KeyReader<'_>) -> Vec<(String, LogFormat)> {
    let mut texts: Vec<(String, LogEscape, String)> = Vec::new();
    let ini = keys.ini;
    for entry in ini.all("", FORMAT) {
        match parse_line(&entry.value) {
            Ok((name, escape, text)) => match texts.iter_mut().find(|(known, ..)| known == name) {
                Some((_, how, whole)) => {
                    *how = escape.unwrap_or(*how);
                    whole.push_str(&text);
                }
                None => texts.push((name.to_owned(), escape.unwrap_or_default(), text)),
            },
            Err(why) => keys.found.error(&entry.place, format!("{FORMAT}: {why}")),
        }
    }
    let mut formats = Vec::new();
    for (name, escape, text) in texts {
        match LogFormat::parse(escape, &text) {
            Ok(format) => formats.push((name, format)),
            Err(why) => keys.refuse(FORMAT, format_args!("{name}: {why}")),
        }
    }
    formats
}

/// `NAME [escape=HOW] TEXT`, the text as it stands or as quoted strings, as nginx has them.
fn parse_line(value: &str) -> Result<(&str, Option<LogEscape>, String), String> {
    let value = value.trim_end_matches(';').trim_end();
    let (name, rest) =
        value.split_once(char::is_whitespace).ok_or("write NAME and a text with $variables")?;
    let mut rest = rest.trim_start();
    let mut escape = None;
    if let Some(after) = rest.strip_prefix("escape=") {
        let (how, text) = after.split_once(char::is_whitespace).unwrap_or((after, ""));
        escape = Some(match how {
            "default" => LogEscape::Default,
            "json" => LogEscape::Json,
            "none" => {
                return Err("with escape=none clients could write lines; write default or json".to_owned());
            }
            _ => return Err(format!("escape={how} is neither default nor json")),
        });
        rest = text.trim_start();
    }
    if !rest.starts_with(['\'', '"']) {
        return Ok((name, escape, rest.to_owned()));
    }
    let mut text = String::new();
    while let Some(quote) = rest.chars().next() {
        let inner = rest.strip_prefix(quote).filter(|_| quote == '\'' || quote == '"');
        let inner = inner.ok_or("a text that begins with a quote is made of quoted strings only")?;
        rest = unquote(inner, quote, &mut text)?.trim_start();
    }
    Ok((name, escape, text))
}

/// Takes a quoted string in, up to its end; `\` keeps a quote or a `\`.
fn unquote<'a>(inner: &'a str, quote: char, text: &mut String) -> Result<&'a str, String> {
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Ok(&inner[at + c.len_utf8()..]);
        }
        match c {
            '\\' => match chars.next() {
                Some((_, kept @ ('\\' | '\'' | '"'))) => text.push(kept),
                Some((_, other)) => text.extend(['\\', other]),
                None => break,
            },
            _ => text.push(c),
        }
    }
    Err(format!("a {quote} without its end"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::web_conf::log_format::{LogPart, LogVariable};
    use crate::config::{ConfigError, LocalFacts, StorageConf};

    fn read(lines: &str) -> Result<Option<HttpLogConf>, ConfigError> {
        let text = format!("base_path = /b\ntracker_server = 127.0.0.1:22122\n{lines}");
        StorageConf::parse(&text, Path::new("s"), &LocalFacts::none()).map(|(conf, _)| conf.web.logs)
    }

    #[test]
    fn it_is_off_unless_a_path_is_given() {
        assert_eq!(read("").unwrap(), None);
        assert_eq!(read("http.access_log = off").unwrap(), None);
        let log = read("http.access_log = logs/access.log").unwrap().unwrap();
        assert_eq!(
            (log.path.as_path(), log.flush),
            (Path::new("/b/logs/access.log"), Duration::from_secs(1))
        );
        assert_eq!(log.format, LogFormat::combined());
        let log = read("http.access_log = /var/a.log json\nhttp.access_log_flush = 5s").unwrap().unwrap();
        assert_eq!((log.path.as_path(), log.flush.as_secs()), (Path::new("/var/a.log"), 5));
        assert_eq!(log.format, LogFormat::json());
    }

    #[test]
    fn formats_may_take_several_lines() {
        let text = "http.log_format = main '$status \"' \"$uri\"\nhttp.log_format = main ' it\\'s'\n\
                    http.access_log = /a main\n";
        let log = read(text).unwrap().unwrap();
        let text = |text: &str| LogPart::Text(text.to_owned());
        let parts = vec![
            LogPart::Variable(LogVariable::Status),
            text(" \""),
            LogPart::Variable(LogVariable::Uri),
            text(" it's"),
        ];
        assert_eq!(log.format, LogFormat { escape: LogEscape::Default, parts });
        let log =
            read("http.log_format = j escape=json {\"s\":$status}\nhttp.access_log = /a j").unwrap().unwrap();
        assert_eq!((log.format.escape, log.format.parts.len()), (LogEscape::Json, 3));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "http.access_log = /a nobody",
            "http.access_log = /a combined buffer=32k",
            "http.access_log = /a x\nhttp.log_format = x $nothing",
            "http.access_log = /a x\nhttp.log_format = x escape=none $uri",
            "http.access_log = /a x\nhttp.log_format = x '$uri",
            "http.access_log = /a x\nhttp.log_format = x",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
