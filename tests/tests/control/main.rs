//! The rule chain from outside: what each rule denies, how it says so, that explaining a request and making it come to
//! the same, and that nothing is allowed where nothing can be judged.

mod chain;
mod deny_rules;
mod explain;
mod faults;
mod scene;
