//! The Prometheus text format, version 0.0.4.

use chancel_wire::metric::Sample;
use std::fmt::Write;

/// Writes samples with those of one name together, in order of names, each name with its type before it.
pub(super) fn render(mut samples: Vec<Sample>) -> String {
    // Stable: the classes of a histogram stay in their order.
    samples.sort_by(|one, other| family(&one.name).0.cmp(family(&other.name).0));
    let mut text = String::new();
    let mut last = "";
    for sample in &samples {
        let (name, kind) = family(&sample.name);
        if name != last {
            push(&mut text, format_args!("# TYPE {name} {kind}\n"));
            last = name;
        }
        text.push_str(&sample.name);
        for (index, (label, value)) in sample.labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            push(&mut text, format_args!("{before}{label}=\"{}\"", escaped(value)));
        }
        let after = if sample.labels.is_empty() { "" } else { "}" };
        push(&mut text, format_args!("{after} {}\n", sample.value));
    }
    text
}

/// The name a series is declared under, and its type: both follow from how it is called.
fn family(name: &str) -> (&str, &'static str) {
    let histogram = ["_bucket", "_count", "_sum"]
        .iter()
        .find_map(|end| name.strip_suffix(end));
    match histogram {
        Some(name) => (name, "histogram"),
        None if name.ends_with("_total") => (name, "counter"),
        None => (name, "gauge"),
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // NOTE(expect): a String takes any text.
    text.write_fmt(what).expect("a String takes any text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_a_name_stand_together_under_their_type() {
        let mut bucket = Sample::new("d_bucket", Some(("route", "sign")), 3);
        bucket.labels.push(("le".to_owned(), "+Inf".to_owned()));
        let samples = vec![
            Sample::new("b_total", Some(("code", "x\"y\\z\n")), 1),
            bucket,
            Sample::new("a", None, 2),
            Sample::new("d_count", Some(("route", "sign")), 3),
            Sample::new("b_total", Some(("code", "2")), 4),
        ];
        let expected = "# TYPE a gauge\na 2\n# TYPE b_total counter\nb_total{code=\"x\\\"y\\\\z\\n\"} 1\n\
                        b_total{code=\"2\"} 4\n# TYPE d histogram\nd_bucket{route=\"sign\",le=\"+Inf\"} 3\n\
                        d_count{route=\"sign\"} 3\n";
        assert_eq!(render(samples), expected);
    }
}
