//! The child's half: does to one plugin all that a host would do, and tells each step before it.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};

use token_plugin_api::conformance::{Progress, Suite};
use zeroize::Zeroizing;

use crate::{
    admit,
    assemble::{self, Origin},
    builder::Source,
    clock::SystemClock,
    config::{PluginEntry, PluginSettings},
    engine::Engine,
    instance::InstanceKey,
    load::Image,
    trial,
};

use super::{
    guard,
    wire::{Line, Request, Stage, Task},
};

/// How long anything may take here: the host's own deadline is what counts.
const PATIENCE: Duration = Duration::from_secs(600);

/// The longest request, in bytes: a configuration has at most 1 MiB, and JSON may escape each letter of it.
const MAX_REQUEST_BYTES: u64 = 16 * 1024 * 1024;

/// Tries the plugin that comes on standard input.
pub(super) fn run() -> io::Result<()> {
    let mut input = BufReader::new(io::stdin().lock());
    let mut line = Zeroizing::new(String::new());
    (&mut input).take(MAX_REQUEST_BYTES).read_line(&mut line)?;
    let request: Request = serde_json::from_str(&line).map_err(io::Error::from)?;
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    limit(&request);
    let mut report = Report { nonce: request.nonce.clone() };
    report.say(&Line::Begun(Stage::Load))?;
    let engine = Arc::new(Engine::new(Source::Nothing, Arc::new(SystemClock), Vec::new()));
    let is_done = match load(&engine, &request, bytes) {
        Err(message) => {
            report.say(&Line::NotLoaded(message))?;
            false
        }
        Ok(image) => match request.task {
            Task::TryOut => try_out(&engine, &image, &request, &mut report)?,
            Task::Conform => conform(&image, &request, &mut report)?,
        },
    };
    if is_done {
        report.say(&Line::Done)?;
    }
    Ok(())
}

struct Report {
    nonce: String,
}

impl Report {
    fn say(&mut self, line: &Line) -> io::Result<()> {
        // One write a line, after a line break: the plugin may have left a line of its own unfinished.
        let text = format!("\n{} {}\n", self.nonce, serde_json::to_string(line)?);
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }
}

fn load(engine: &Engine, request: &Request, bytes: Vec<u8>) -> Result<Arc<Image>, String> {
    let size_bytes = bytes.len();
    let examined = admit::examine_sent(Path::new(&request.file), bytes).map_err(|refusal| refusal.to_string())?;
    guard::put_above(size_bytes);
    let image = engine.images.load(&examined)?;
    guard::put_below();
    limit_memory(request);
    Ok(image)
}

/// What the guards did not need is not the plugin's either.
#[cfg(unix)]
fn limit_memory(request: &Request) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let current = Some(request.max_memory_bytes.saturating_add(guard::taken()));
    let _ = setrlimit(Resource::As, Rlimit { current, ..getrlimit(Resource::As) });
}

#[cfg(not(unix))]
fn limit_memory(_: &Request) {}

fn conform(image: &Image, request: &Request, report: &mut Report) -> io::Result<bool> {
    let new_instance = image.root.new_instance();
    let suite = Suite::of_library(
        |services, new| new_instance(services, new),
        &request.settings,
        request.resolved.iter().map(String::as_str),
    );
    let suite = suite
        .named(&request.name)
        .in_folder(&request.folder)
        .with_deadline(Duration::from_millis(request.call_deadline_ms));
    let mut said = Ok(());
    suite.run(&mut |progress| {
        let line = match progress {
            Progress::Begun { name, subject } => {
                Line::Checking { name: name.to_owned(), subject: subject.map(str::to_owned) }
            }
            Progress::Ended(check) => Line::Checked(check.clone()),
            _ => return,
        };
        if let Err(error) = report.say(&line) {
            said = Err(error);
        }
    });
    said.map(|()| true)
}

fn try_out(engine: &Arc<Engine>, image: &Image, request: &Request, report: &mut Report) -> io::Result<bool> {
    report.say(&Line::Begun(Stage::Make))?;
    let settings = PluginSettings::received(&request.settings, &request.resolved);
    let entry = PluginEntry::unwritten(&request.name, settings, Path::new(&request.folder));
    let key = InstanceKey {
        plugin: entry.name.clone(),
        sha256: Some(image.sha256),
        settings: entry.settings.digest(),
        max_blocking_calls: entry.max_blocking_calls,
    };
    let instance = match assemble::instantiate(engine, key, &entry, Origin::Image(image), 1, 1) {
        Ok(instance) => Arc::new(instance),
        Err(error) => return report.say(&Line::not_made(&error)).map(|()| false),
    };
    let mut steps = Report { nonce: request.nonce.clone() };
    let found =
        trial::try_out_within(PATIENCE, &instance, Duration::from_millis(request.call_deadline_ms), move |step| {
            let stage = match step {
                trial::Step::Junk(handler) => Stage::Verify(handler.to_owned()),
                trial::Step::Create(handler) => Stage::Create(handler.to_owned()),
            };
            // Nobody hears it any more, and this process is about to be ended.
            let _ = steps.say(&Line::Begun(stage));
        });
    for warning in found.warnings {
        report.say(&Line::Warning(warning))?;
    }
    let is_good = found.faults.is_empty();
    for fault in found.faults {
        report.say(&Line::Fault(fault))?;
    }
    report.say(&Line::Begun(Stage::Drop))?;
    drop(instance);
    engine.stops.wait(PATIENCE);
    report.say(&Line::Begun(Stage::End))?;
    Ok(is_good)
}

/// Takes from this process what a plugin must not use up. What the system does not offer is left out: the host's
/// deadline holds in any case.
#[cfg(unix)]
fn limit(request: &Request) {
    use rustix::process::{Resource, Rlimit, setrlimit};

    let at_most = |soft: u64, hard: u64| Rlimit { current: Some(soft), maximum: Some(hard) };
    // A second more, after which the system kills instead of signalling.
    let cpu = at_most(request.max_cpu_seconds, request.max_cpu_seconds + 1);
    let memory = request.max_memory_bytes.saturating_add(guard::BYTES);
    let memory = at_most(memory, memory);
    for (resource, limit) in [(Resource::Core, at_most(0, 0)), (Resource::Cpu, cpu), (Resource::As, memory)] {
        let _ = setrlimit(resource, limit);
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal};
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
        // A core that is piped to a program is not bound by the limit; and nobody else is to look into this memory.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

#[cfg(not(unix))]
fn limit(_: &Request) {}
