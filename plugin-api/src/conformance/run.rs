//! One run of the suite: which check comes when, about what.

use std::sync::Arc;

use super::{
    Check, Progress, Report, Suite, capture, concurrency, creation, expiry, forgery, generators, growth,
    handler::Handler,
    instance::Instance,
    ledger::Ledger,
    names::{self, Names},
    report::Checked,
    restrictions,
    stores::{self, Store},
};

pub(super) fn run(suite: &Suite<'_>, watch: &mut dyn FnMut(Progress<'_>)) -> Report {
    let ledger = Arc::new(Ledger::new(suite));
    let run = Run { suite, ledger: &ledger, watch, report: Report::new(Vec::new()) };
    capture::listening(&ledger, || run.all())
}

type HandlerCheck = fn(&Handler<'_>) -> Checked;
type GeneratorCheck = fn(&Instance, usize) -> Checked;

const HANDLER_CHECKS: [(&str, HandlerCheck); 8] = [
    ("claims", creation::claims),
    ("create_then_verify", creation::create_then_verify),
    ("changed_bytes", forgery::changed_bytes),
    ("truncation", forgery::truncation),
    ("expiry", expiry::expiry),
    ("restrictions", restrictions::restrictions),
    ("hostile_tokens", forgery::hostile_tokens),
    ("concurrency", concurrency::concurrency),
];

const GENERATOR_CHECKS: [(&str, GeneratorCheck); 2] =
    [("generators", generators::generators), ("generator_checksums", generators::generator_checksums)];

struct Run<'r> {
    suite: &'r Suite<'r>,
    ledger: &'r Arc<Ledger>,
    watch: &'r mut dyn FnMut(Progress<'_>),
    report: Report,
}

impl Run<'_> {
    fn all(mut self) -> Report {
        let (suite, ledger) = (self.suite, self.ledger);
        let instance = || Instance::new(suite, ledger);
        let mut names = Names::default();
        self.check("instance", None, || instance().map(|instance| names = Names::of(&instance)));
        if !self.report.is_good() {
            return self.report;
        }
        self.check("names", None, || names::names(&instance()?, &instance()?));
        for (index, name) in names.handlers().enumerate() {
            for (check, code) in HANDLER_CHECKS {
                self.check(check, Some(name), || code(&instance()?.handler(index, suite)?));
            }
        }
        for (index, id) in names.generators().enumerate() {
            for (check, code) in GENERATOR_CHECKS {
                self.check(check, Some(id), || code(&instance()?, index));
            }
        }
        for (index, (kind, name)) in names.stores().iter().enumerate() {
            for (check, code) in stores::checks(*kind) {
                self.check(check, Some(name), || code(&Store::new(&instance()?, index, suite)?));
            }
        }
        self.check("growth", None, || growth::growth(suite, instance));
        self.check("dropping", None, || ledger.dropping());
        self.check("panics", None, || ledger.panics());
        self.check("secrecy", None, || ledger.secrecy());
        self.report
    }

    fn check(&mut self, name: &'static str, subject: Option<&str>, code: impl FnOnce() -> Checked) {
        (self.watch)(Progress::Begun { name, subject });
        self.ledger.begin(name, subject);
        let check = Check::new(name, subject, code().into());
        (self.watch)(Progress::Ended(&check));
        self.report.checks.push(check);
    }
}
