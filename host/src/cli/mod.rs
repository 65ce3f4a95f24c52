//! The command line: one file a command. Answers go to stdout, everything else to stderr.

mod actor;
mod audit;
mod check;
mod client;
#[cfg(feature = "otel")]
mod collector;
mod confirm;
mod conformance;
mod create;
mod exit;
mod explain;
mod export;
mod filter;
mod import;
mod inspect;
mod invalidate;
mod keeper;
mod lifetime;
mod list;
mod lock;
mod log;
mod migrate;
mod new;
mod output;
mod pages;
mod plan;
mod plugins;
mod purge;
mod quickstart;
mod record;
mod selector;
mod serve;
#[cfg(unix)]
mod service_manager;
mod show;
mod shown_client;
mod table;
mod time;
#[cfg(feature = "otel")]
mod traces;
mod update;
mod verify;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, Subcommand};
use token_host::{Clock, Error, Host, HostBuilder, SystemClock};

use self::output::Output;

/// Loads token-handler plugins, orders them as pluggy does, and delegates: create and verify tokens.
#[derive(Debug, Parser)]
#[command(name = "token-host", version, max_term_width = 100, arg_required_else_help = true, after_help = EXITS)]
struct Arguments {
    /// The configuration
    #[arg(short, long, global = true, env = "TOKEN_HOST_CONFIG", default_value = "plugins.toml", value_name = "FILE")]
    config: PathBuf,

    /// Answer in JSON
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

const EXITS: &str = "Exit codes: 0 good; 1 token not recognized, rejected or not found, a question answered with no, \
or `migrate --check` found something to do; 2 bad arguments; \
3 no handlers; 4 no unique token; 5 a plugin could not, or the service; 6 bad configuration or refused plugin.\n\
TOKEN_HOST_LOG filters the log on stderr, for instance `debug` or `plugin=trace`.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a token and print it
    Create(create::Create),
    /// Verify a token, or with `-` one a line from stdin
    Verify(verify::Verify),
    /// List the tokens that a handler keeps
    List(list::List),
    /// Show what a handler knows of one token
    Show(show::Show),
    /// Make tokens worthless: one, or all of some actors or of everyone; asks first when it may be many
    Invalidate(invalidate::Invalidate),
    /// Change the note, policy, expiry or validity of a token
    Update(update::Update),
    /// Delete tokens that ended long ago; asks first
    Purge(purge::Purge),
    /// Deactivate actors and activate them again: whose tokens are all rejected meanwhile
    #[command(subcommand)]
    Actor(actor::Actor),
    /// Manage the applications that may ask for OAuth 2.0 tokens
    #[command(subcommand)]
    Client(client::Client),
    /// Bring over another system's tokens, which go on working: a dry run, a question, then the import
    Import(import::Import),
    /// Write what a handler knows of its tokens, one JSON object a line
    Export(export::Export),
    /// Bring a handler's store to the form that it needs
    Migrate(migrate::Migrate),
    /// Show what each handler says to a token, and why
    Explain(explain::Explain),
    /// List what is registered, in call order, with the reason for each place
    Plugins(plugins::Plugins),
    /// Show the order before and after a change of the configuration; nothing is loaded
    Plan(plan::Planned),
    /// Check configuration and plugins, and report every finding
    Check,
    /// Write plugins.lock: from then on only the plugin files as they are now are loaded
    Lock,
    /// Work with the files of the audit plugin
    Audit(audit::Audit),
    /// Run the conformance suite over a plugin, in a process of its own
    Conformance(conformance::Conformance),
    /// Show what a library says of itself; nothing in it is executed
    Inspect(inspect::Inspect),
    /// Write a new plugin crate that builds and whose test passes
    New(new::New),
    /// Serve over HTTP: forward authentication for proxies, introspection, OAuth 2.0, an API and a console
    Serve(serve::Serve),
    /// Create a token, verify it, and show what to try next
    Quickstart,
    /// Be the child process in which a host tries a plugin
    #[command(name = token_host::preflight::SUBCOMMAND, hide = true)]
    Preflight,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Parses the arguments, runs the command, says what went wrong.
pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A service starts its own.
    if !matches!(arguments.command, Command::Serve(_)) {
        log::start();
    }
    if matches!(arguments.command, Command::Preflight) {
        return token_host::preflight::answer();
    }
    output::claim();
    let output = Output::new(arguments.json);
    let ended = match arguments.command {
        Command::Create(create) => create.run(&arguments.config, &output),
        Command::Verify(verify) => verify.run(&arguments.config, &output),
        Command::List(list) => list.run(&arguments.config, &output),
        Command::Show(show) => show.run(&arguments.config, &output),
        Command::Invalidate(invalidate) => invalidate.run(&arguments.config, &output),
        Command::Update(update) => update.run(&arguments.config, &output),
        Command::Purge(purge) => purge.run(&arguments.config, &output),
        Command::Actor(actor) => actor.run(&arguments.config, &output),
        Command::Client(client) => client.run(&arguments.config, &output),
        Command::Import(import) => import.run(&arguments.config, &output),
        Command::Export(export) => export.run(&arguments.config, &output),
        Command::Migrate(migrate) => migrate.run(&arguments.config, &output),
        Command::Explain(explain) => explain.run(&arguments.config, &output),
        Command::Plugins(plugins) => plugins.run(&arguments.config, &output),
        Command::Plan(plan) => plan.run(&arguments.config, &output),
        Command::Check => check::run(&arguments.config, &output),
        Command::Lock => lock::run(&arguments.config, &output),
        Command::Audit(audit) => audit.run(&output),
        Command::Conformance(conformance) => conformance.run(&arguments.config, &output),
        Command::Inspect(inspect) => inspect.run(&output),
        Command::New(new) => new.run(&output),
        Command::Serve(serve) => serve.run(&arguments.config, &output),
        Command::Quickstart => quickstart::run(&arguments.config, &output),
        Command::Preflight => Ok(()),
        Command::Completions { shell } => output.bytes(&completions(shell)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "token-host", &mut script);
    script
}

/// The host of the configuration, to be built; its preflights are this very program's work.
fn builder(config: &Path) -> HostBuilder {
    // On Linux the program that runs, even when its file was replaced by a newer one.
    let program = match cfg!(target_os = "linux") {
        true => Ok(PathBuf::from("/proc/self/exe")),
        false => std::env::current_exe(),
    };
    let builder = Host::builder().config_file(config);
    match program {
        Ok(program) => builder.preflight_program(program),
        // Then a warning says that there is no preflight.
        Err(_) => builder,
    }
}

/// The host of the configuration, with what it has to say of it on stderr.
fn host(config: &Path, output: &Output) -> Result<Host, Error> {
    let host = builder(config).build()?;
    for finding in host.warnings() {
        output.note(&finding.to_string());
    }
    Ok(host)
}

/// Unix seconds, by the clock that the host goes by.
fn now() -> u64 {
    SystemClock.now()
}
