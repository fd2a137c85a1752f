//! What several measurements of one thing came to.

/// Median, least and greatest.
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

impl Spread {
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        let median = f64::midpoint(low, high);
        Self { median, least: values[0], greatest: values[values.len() - 1] }
    }

    pub(crate) fn with_ends(&self) -> String {
        // What takes longer than a round has no times.
        if self.median.is_nan() {
            return "-".to_owned();
        }
        format!("{:.2} ({:.2}-{:.2})", self.median, self.least, self.greatest)
    }
}
