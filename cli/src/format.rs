//! Numbers for people, as FastDFS's tools print them.

/// `5.0 GB`, `138 GB`, `12  B`: units of 1024, one decimal below ten.
pub(crate) fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1024 {
        return format!("{bytes}  B");
    }
    let exponent = bytes.ilog2() / 10;
    let unit = usize::try_from(exponent).ok().and_then(|place| UNITS.get(place - 1)).unwrap_or(&"EB");
    let number = float(bytes) / float(1 << (10 * exponent));
    if number < 10.0 { format!("{number:.1} {unit}") } else { format!("{number:.0} {unit}") }
}

/// The same of a number of MB; negative ones, which no server means, are 0.
pub(crate) fn human_mb(mb: i64) -> String {
    human_size(u64::try_from(mb).unwrap_or(0).saturating_mul(1 << 20))
}

/// `2 days 1 hour 3 minutes 5 seconds`, without parts that are zero.
pub(crate) fn human_seconds(seconds: i64) -> String {
    let parts = [
        (seconds / 86_400, "day"),
        (seconds / 3600 % 24, "hour"),
        (seconds / 60 % 60, "minute"),
        (seconds % 60, "second"),
    ];
    let words: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count} {unit}{}", if count == 1 { "" } else { "s" }))
        .collect();
    if words.is_empty() { "0 second".to_owned() } else { words.join(" ") }
}

/// The system's text for an errno, as `strerror` gives it.
pub(crate) fn error_text(errno: u8) -> String {
    let text = std::io::Error::from_raw_os_error(errno.into()).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

#[allow(clippy::cast_precision_loss, reason = "two digits are printed")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, expected) in [
            (0, "0  B"),
            (1023, "1023  B"),
            (1024, "1.0 KB"),
            (10 * 1024, "10 KB"),
            (5 << 30, "5.0 GB"),
            (138 << 30, "138 GB"),
            ((1 << 30) - 1, "1024 MB"),
            (3 << 60, "3.0 EB"),
        ] {
            assert_eq!(human_size(bytes), expected, "{bytes}");
        }
        assert_eq!(human_mb(1024), "1.0 GB");
        assert_eq!(human_mb(-1), "0  B");
    }

    #[test]
    fn durations() {
        for (seconds, expected) in [
            (-5, "0 second"),
            (0, "0 second"),
            (1, "1 second"),
            (61, "1 minute 1 second"),
            (86_400 * 2 + 3600 + 185, "2 days 1 hour 3 minutes 5 seconds"),
            (7200, "2 hours"),
        ] {
            assert_eq!(human_seconds(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn error_texts_are_those_of_the_system() {
        assert_eq!(error_text(2), "No such file or directory");
        assert_eq!(error_text(0), "Success");
    }
}
