//! When what is done about files that expire: pure, with the clock as an argument.

/// How long other members leave a file to its source.
const GRACE: i64 = 3600;
/// Seconds of a bucket that is near, and of one that is far.
const MINUTE: i64 = 60;
const HOUR: i64 = 3600;

/// A file of names that expire in the same minute, or hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bucket {
    /// Minutes since 1970.
    Minute(i64),
    /// Hours.
    Hour(i64),
}

impl Bucket {
    /// Where a name belongs that expires at a time: by minute in the hour that is, by hour later.
    pub(super) fn of(expires: i64, now: i64) -> Self {
        let expires = expires.max(now);
        if expires / HOUR <= now / HOUR { Self::Minute(expires / MINUTE) } else { Self::Hour(expires / HOUR) }
    }

    /// What is to be done about it.
    pub(super) fn turn(self, now: i64) -> Turn {
        match self {
            Self::Hour(hour) if hour.saturating_mul(HOUR) <= now => Turn::Split,
            Self::Minute(minute) if minute.saturating_add(1).saturating_mul(MINUTE) <= now => Turn::Expire,
            _ => Turn::Wait,
        }
    }

    /// The name of its file.
    pub(super) fn file_name(self) -> String {
        match self {
            Self::Minute(minute) => format!("minute-{minute}"),
            Self::Hour(hour) => format!("hour-{hour}"),
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        let (kind, number) = name.split_once('-')?;
        let number = number.parse().ok()?;
        match kind {
            "minute" => Some(Self::Minute(number)),
            "hour" => Some(Self::Hour(number)),
            _ => None,
        }
    }
}

/// What a bucket is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Wait,
    /// Its hour has come: its names go to their minutes.
    Split,
    /// All of its names have expired, unless they were given more time.
    Expire,
}

/// What becomes of a file whose name is in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It does not expire any more.
    Forget,
    Delete,
    /// Look again at this time.
    Later(i64),
}

/// What becomes of a file that expires as its metadata says now.
pub(super) fn judge(expires: Option<i64>, is_own: bool, now: i64) -> Verdict {
    let Some(expires) = expires else { return Verdict::Forget };
    let due = if is_own { expires } else { expires.saturating_add(GRACE) };
    if due <= now { Verdict::Delete } else { Verdict::Later(due) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const NOW: i64 = 1_795_382_841;

    #[test]
    fn buckets_have_names_of_their_own() {
        for bucket in [Bucket::Minute(29_923_047), Bucket::Hour(498_717)] {
            assert_eq!(Bucket::parse(&bucket.file_name()), Some(bucket));
        }
        for name in ["minute-", "hour-x", "other-5", "minute", ".", "hour-1.tmp"] {
            assert_eq!(Bucket::parse(name), None);
        }
    }

    #[test]
    fn the_source_deletes_and_others_only_when_it_does_not() {
        assert_eq!(judge(None, true, NOW), Verdict::Forget);
        assert_eq!(judge(Some(NOW), true, NOW), Verdict::Delete);
        assert_eq!(judge(Some(NOW + 1), true, NOW), Verdict::Later(NOW + 1));
        assert_eq!(judge(Some(NOW), false, NOW), Verdict::Later(NOW + GRACE));
        assert_eq!(judge(Some(NOW - GRACE), false, NOW), Verdict::Delete);
        assert_eq!(judge(Some(i64::MAX), false, NOW), Verdict::Later(i64::MAX));
    }

    /// Names that are put into buckets, moved and taken out by the clock alone.
    #[test]
    fn every_name_comes_up_once_it_is_due_and_soon() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut buckets: BTreeMap<Bucket, Vec<(i64, u32)>> = BTreeMap::new();
        let (mut now, mut gone) = (NOW, 0);
        for number in 0..5000 {
            now += random.i64(1..20);
            if number < 2000 {
                let expires = now + random.i64(-100..20_000);
                // One that has passed already is late from the beginning.
                let noted = expires.max(now);
                buckets.entry(Bucket::of(expires, now)).or_default().push((noted, number));
            }
            let due: Vec<Bucket> = buckets.keys().copied().collect();
            for bucket in due {
                match bucket.turn(now) {
                    Turn::Wait => {}
                    Turn::Split => {
                        for (expires, number) in buckets.remove(&bucket).unwrap() {
                            let minute = Bucket::of(expires, now);
                            assert!(matches!(minute, Bucket::Minute(_)));
                            buckets.entry(minute).or_default().push((expires, number));
                        }
                    }
                    Turn::Expire => {
                        for (expires, _) in buckets.remove(&bucket).unwrap() {
                            assert_eq!(judge(Some(expires), true, now), Verdict::Delete);
                            gone += 1;
                        }
                    }
                }
            }
            for (bucket, names) in &buckets {
                for (expires, number) in names {
                    assert!(expires + 160 > now, "{number} in {bucket:?} is late");
                }
            }
        }
        assert_eq!((gone, buckets.len()), (2000, 0));
    }
}
