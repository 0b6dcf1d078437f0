//! The file with the plans' terms, and having policyd read it again.

use crate::installation::{Daemon, Installation};
use crate::layout::write;
use nix::sys::signal::Signal;
use std::fmt::Write;

/// Terms of one plan, as the file states them.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The plan's name.
    pub plan: &'a str,
    /// Figures and their names; what is not named keeps its default.
    pub figures: &'a [(&'a str, u64)],
    /// Its features; `None` for the default ones.
    pub features: Option<&'a [&'a str]>,
}

/// The file's text. The rates are such that no test meets them.
pub fn file(terms: &[Terms<'_>]) -> String {
    let mut text = String::new();
    for terms in terms {
        let _ = writeln!(text, "[{}]", terms.plan);
        let _ = writeln!(text, "rate = {{ per_second = 10000, burst = 10000 }}");
        if let Some(features) = terms.features {
            let _ = writeln!(text, "features = {}", serde_json::Value::from(features.to_vec()));
        }
        for (name, figure) in terms.figures {
            let _ = writeln!(text, "{name} = {figure}");
        }
    }
    text
}

/// A file about one plan with its default features.
pub fn of(plan: &str, figures: &[(&str, u64)]) -> String {
    file(&[Terms {
        plan,
        figures,
        features: None,
    }])
}

impl Installation {
    /// Writes the plans' file anew, has policyd read it, and waits until it says what it thinks of it.
    #[track_caller]
    pub fn reload_plans(&self, text: &str) {
        let before = self.words_on_plans();
        write(&self.layout().plans_file(), text.as_bytes());
        self.signal(Daemon::Policyd, Signal::SIGHUP);
        self.until("policyd to say what it thinks of the plans' file", || {
            (self.words_on_plans() > before).then_some(())
        });
    }

    fn words_on_plans(&self) -> usize {
        self.log_of_this_run(Daemon::Policyd)
            .lines()
            .filter(|line| line.contains("the plans") || line.contains("plans file"))
            .count()
    }
}
