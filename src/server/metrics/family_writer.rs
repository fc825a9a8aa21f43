//! Writes families of metrics in the text form of `OpenMetrics`, each with its samples.
//!
//! It appends to one text instead of using a library: 64 models have 7,700 samples, and a scrape consists of little
//! else than small writes.

use std::fmt::{self, Write};
use std::time::Duration;

use crate::telemetry::{BUCKET_BOUNDS_US, TimeTotals};

/// The labels of one sample.
pub(super) type Labels<'a> = Vec<(&'static str, &'a str)>;

/// The unit of bytes.
pub(super) const BYTES: Option<&str> = Some("bytes");

const SECONDS: Option<&str> = Some("seconds");

/// Writes families of metrics.
pub(super) struct FamilyWriter<'a> {
    text: &'a mut String,
}

impl<'a> FamilyWriter<'a> {
    pub(super) fn new(text: &'a mut String) -> Self {
        Self { text }
    }

    /// Writes counters; their samples get the suffix `_total`.
    pub(super) fn counters<'s>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'s>, u64)>,
    ) -> fmt::Result {
        let name = self.begin(name, None, "counter", help)?;
        for (labels, value) in samples {
            writeln!(self.sample(&name, "_total", &labels), "{value}")?;
        }
        Ok(())
    }

    /// Writes counters of time; their samples get the suffix `_seconds_total`.
    pub(super) fn seconds<'s>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'s>, Duration)>,
    ) -> fmt::Result {
        let name = self.begin(name, SECONDS, "counter", help)?;
        for (labels, time) in samples {
            writeln!(self.sample(&name, "_total", &labels), "{}", decimal(time.as_secs_f64()))?;
        }
        Ok(())
    }

    /// Writes gauges; the name gets the unit as its suffix.
    pub(super) fn gauges<'s>(
        &mut self,
        name: &str,
        unit: Option<&str>,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'s>, u64)>,
    ) -> fmt::Result {
        let name = self.begin(name, unit, "gauge", help)?;
        for (labels, value) in samples {
            writeln!(self.sample(&name, "", &labels), "{value}")?;
        }
        Ok(())
    }

    /// Writes histograms in seconds; the name gets the suffix `_seconds`.
    pub(super) fn histograms<'s>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'s>, &'s TimeTotals)>,
    ) -> fmt::Result {
        let name = self.begin(name, SECONDS, "histogram", help)?;
        let bounds = BUCKET_BOUNDS_US.into_iter().map(|bound| decimal(bound as f64 / 1e6));
        let bucket = |bound: String| format!("{name}_bucket{{le=\"{bound}\"");
        let starts: Vec<String> = bounds.chain(["+Inf".to_owned()]).map(bucket).collect();
        let mut rest = String::new();
        for (labels, times) in samples {
            let sum = decimal(times.sum.as_secs_f64());
            writeln!(self.sample(&name, "_sum", &labels), "{sum}")?;
            writeln!(self.sample(&name, "_count", &labels), "{}", times.count)?;
            rest.clear();
            for label in &labels {
                rest.push(',');
                push_label(&mut rest, label);
            }
            rest.push_str("} ");
            let mut count = 0;
            for (start, in_bucket) in starts.iter().zip(times.buckets) {
                count += in_bucket;
                self.text.push_str(start);
                self.text.push_str(&rest);
                writeln!(self.text, "{count}")?;
            }
        }
        Ok(())
    }

    /// Writes a constant text; the name gets the suffix `_info`.
    pub(super) fn info(&mut self, name: &str, help: &str, labels: &Labels<'_>) -> fmt::Result {
        let name = self.begin(name, None, "info", help)?;
        writeln!(self.sample(&name, "_info", labels), "1")
    }

    /// Ends the text.
    pub(super) fn end(self) {
        self.text.push_str("# EOF\n");
    }

    /// Writes the description of a family and returns its whole name.
    fn begin(
        &mut self,
        name: &str,
        unit: Option<&str>,
        kind: &str,
        help: &str,
    ) -> Result<String, fmt::Error> {
        let name = unit.map_or_else(|| name.to_owned(), |unit| format!("{name}_{unit}"));
        writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
        if let Some(unit) = unit {
            writeln!(self.text, "# UNIT {name} {unit}")?;
        }
        Ok(name)
    }

    /// Writes a sample without its value, which the caller appends to the returned text.
    fn sample(&mut self, name: &str, suffix: &str, labels: &Labels<'_>) -> &mut String {
        self.text.push_str(name);
        self.text.push_str(suffix);
        let mut before = '{';
        for label in labels {
            self.text.push(before);
            push_label(self.text, label);
            before = ',';
        }
        self.text.push_str(if labels.is_empty() { " " } else { "} " });
        self.text
    }
}

fn push_label(text: &mut String, (name, value): &(&'static str, &str)) {
    text.push_str(name);
    text.push_str("=\"");
    if value.contains(['\\', '"', '\n']) {
        text.push_str(&value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"));
    } else {
        text.push_str(value);
    }
    text.push('"');
}

/// Returns a number with a decimal point, as the form wants the bounds of buckets.
fn decimal(number: f64) -> String {
    let text = number.to_string();
    if text.contains('.') { text } else { text + ".0" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_the_text_form() {
        let mut text = String::new();
        let mut writer = FamilyWriter::new(&mut text);
        let labels = vec![("a", "b\"\\\n"), ("c", "d")];
        writer.counters("x", "Some x", [(labels.clone(), 1)]).unwrap();
        writer.gauges("y", BYTES, "Some y", [(Vec::new(), 2)]).unwrap();
        writer.seconds("t", "Some t", [(Vec::new(), Duration::from_secs(3))]).unwrap();
        writer.info("v", "The version", &vec![("e", "f")]).unwrap();
        writer.end();
        let lines = [
            "# HELP x Some x",
            "# TYPE x counter",
            r#"x_total{a="b\"\\\n",c="d"} 1"#,
            "# HELP y_bytes Some y",
            "# TYPE y_bytes gauge",
            "# UNIT y_bytes bytes",
            "y_bytes 2",
            "# HELP t_seconds Some t",
            "# TYPE t_seconds counter",
            "# UNIT t_seconds seconds",
            "t_seconds_total 3.0",
            "# HELP v The version",
            "# TYPE v info",
            r#"v_info{e="f"} 1"#,
            "# EOF",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), lines);
    }

    #[test]
    fn buckets_count_up_to_their_bound() {
        let mut times = TimeTotals { count: 3, ..TimeTotals::default() };
        (times.buckets[0], times.buckets[34]) = (1, 2);
        let mut text = String::new();
        let mut writer = FamilyWriter::new(&mut text);
        writer.histograms("h", "Some h", [(vec![("a", "b")], &times)]).unwrap();
        for line in [
            r#"h_seconds_sum{a="b"} 0.0"#,
            r#"h_seconds_count{a="b"} 3"#,
            r#"h_seconds_bucket{le="0.000012",a="b"} 1"#,
            r#"h_seconds_bucket{le="1.024",a="b"} 1"#,
            r#"h_seconds_bucket{le="+Inf",a="b"} 3"#,
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is missing: {text}");
        }
    }
}
