//! [`HostBuilder`]: a host with handlers that are linked in, or with a clock of its own.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use abi_stable::std_types::RResult;
use serde::de::DeserializeOwned;
use token_plugin_api::{
    Hooks, Result as PluginResult,
    abi::{export::new_in_process, v1},
};

use zeroize::Zeroizing;

use crate::{
    admit::changeable_by_others,
    clock::{Clock, SystemClock},
    config::{Config, Finding, MakeSecrets, Origin, Severity, lock_file},
    engine::Engine,
    error::Error,
    host::Host,
};

/// A plugin that is linked into the program instead of loaded from a file. It goes through the same
/// interface and the same dispatch as any other.
pub struct StaticPlugin {
    pub(crate) name: String,
    pub(crate) settings: serde_json::Value,
    pub(crate) tryfirst: bool,
    pub(crate) trylast: bool,
    pub(crate) make: Box<Make>,
}

type Make = dyn Fn(v1::Services, v1::NewInstanceV1<'_>) -> RResult<v1::InstanceV1, v1::ErrorV1> + Send + Sync;

impl StaticPlugin {
    /// A plugin by its `register` function, the same that `export_plugin!` takes.
    pub fn new<C: DeserializeOwned + 'static>(
        name: impl Into<String>,
        register: impl Fn(&mut Hooks, C) -> PluginResult<()> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            settings: serde_json::Value::Object(serde_json::Map::new()),
            tryfirst: false,
            trylast: false,
            make: Box::new(move |services, new| new_in_process(services, new, &register)),
        }
    }

    /// The same, with these settings.
    #[must_use]
    pub fn settings(mut self, settings: serde_json::Value) -> Self {
        self.settings = settings;
        self
    }

    /// The same, called before others.
    #[must_use]
    pub fn tryfirst(mut self) -> Self {
        self.tryfirst = true;
        self
    }

    /// The same, called after others.
    #[must_use]
    pub fn trylast(mut self) -> Self {
        self.trylast = true;
        self
    }
}

impl fmt::Debug for StaticPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticPlugin").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Where the configuration comes from, at the start and at each reload.
#[derive(Default)]
pub(crate) enum Source {
    /// There is none: only what is linked in.
    #[default]
    Nothing,
    File(PathBuf),
    Text {
        text: Zeroizing<String>,
        base: PathBuf,
    },
}

impl fmt::Debug for Source {
    /// Without the text, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Text { base, .. } => f.debug_struct("Text").field("base", base).finish_non_exhaustive(),
        }
    }
}

impl Source {
    /// The files that it is read from.
    pub(crate) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let path = match self {
            Self::File(path) => Some(path),
            Self::Nothing | Self::Text { .. } => None,
        };
        path.into_iter().flat_map(|path| [path.clone(), lock_file::path_of(path)])
    }

    pub(crate) fn read(&self, make: MakeSecrets) -> Result<Config, Error> {
        Ok(match self {
            Self::Nothing => Config::empty(),
            Self::File(path) => {
                let mut config = Config::from_file(path, make)?;
                config.lock = lock_file::read(path)?;
                // They name the code that the host runs.
                for (what, file) in [("configuration", path), ("lock", &lock_file::path_of(path))] {
                    if let Some(reason) = changeable_by_others(file) {
                        config.warnings.push(Finding {
                            severity: Severity::Warning,
                            ..Finding::error(
                                &Origin::File(file.clone()),
                                format!("others can change the {what}: {reason}"),
                            )
                        });
                    }
                }
                config
            }
            Self::Text { text, base } => Config::parse(text, Origin::Text, base, make)?,
        })
    }
}

/// Builds a [`Host`].
///
/// ```
/// use token_host::{Host, StaticPlugin};
/// use token_plugin_api::{Actor, Call, Hooks, NoConfig, Result, TokenHandler, Verdict};
///
/// struct Everybody;
///
/// impl TokenHandler for Everybody {
///     fn name(&self) -> &str {
///         "everybody"
///     }
///
///     fn verify_token(&self, _: &Call<'_>, token: &str) -> Result<Verdict> {
///         Ok(Verdict::Accepted(Actor::new(token, "name")))
///     }
/// }
///
/// let plugin = StaticPlugin::new("everybody", |hooks: &mut Hooks, _: NoConfig| {
///     hooks.handler(Everybody);
///     Ok(())
/// });
/// let host = Host::builder().plugin(plugin).build().unwrap();
/// assert_eq!(host.verify_token_blocking("root").unwrap().unwrap().id(), "root");
/// ```
#[derive(Default)]
pub struct HostBuilder {
    source: Source,
    statics: Vec<StaticPlugin>,
    clock: Option<Arc<dyn Clock>>,
    pub(crate) preflight_program: Option<PathBuf>,
}

impl HostBuilder {
    /// Reads this `plugins.toml`, now and at each reload.
    #[must_use]
    pub fn config_file(mut self, path: impl AsRef<Path>) -> Self {
        self.source = Source::File(path.as_ref().to_owned());
        self
    }

    /// Takes this text as the `plugins.toml`; relative paths in it are relative to `base`.
    #[must_use]
    pub fn config_text(mut self, text: impl Into<String>, base: impl AsRef<Path>) -> Self {
        self.source = Source::Text { text: Zeroizing::new(text.into()), base: base.as_ref().to_owned() };
        self
    }

    /// Adds a plugin that is linked in. These are registered first, in the order of these calls, so
    /// that, by pluggy's law, what comes from folder and configuration is called before them.
    #[must_use]
    pub fn plugin(mut self, plugin: StaticPlugin) -> Self {
        self.statics.push(plugin);
        self
    }

    /// Takes the time from this clock instead of the system's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Has this executable, a `token-host`, try each plugin in a child process before it is loaded,
    /// unless the configuration names another as `program` in `[preflight]`.
    ///
    /// An embedder's own program will do, when it calls [`preflight::answer`](crate::preflight::answer)
    /// where it is run with [`preflight::SUBCOMMAND`](crate::preflight::SUBCOMMAND) as its one argument.
    #[must_use]
    pub fn preflight_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.preflight_program = Some(program.into());
        self
    }

    /// Loads everything and starts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) or [`ErrorKind::Admission`](crate::ErrorKind::Admission), with
    /// every finding at once; nothing is loaded by halves.
    pub fn build(self) -> Result<Host, Error> {
        self.start(MakeSecrets::Create)
    }

    /// Does everything that [`HostBuilder::build`] does, and writes nothing: secrets that are to be
    /// made at the first start are made up for this host alone.
    ///
    /// # Errors
    ///
    /// As [`HostBuilder::build`].
    pub fn check(self) -> Result<Host, Error> {
        self.start(MakeSecrets::Ephemeral)
    }

    /// What is read, and what is linked in.
    pub(crate) fn into_parts(self) -> (Source, Vec<StaticPlugin>) {
        (self.source, self.statics)
    }

    fn start(self, make: MakeSecrets) -> Result<Host, Error> {
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let mut engine = Engine::new(self.source, clock, self.statics);
        engine.preflight_program = self.preflight_program;
        Host::start(Arc::new(engine), make)
    }
}

impl fmt::Debug for HostBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostBuilder")
            .field("source", &self.source)
            .field("statics", &self.statics)
            .finish_non_exhaustive()
    }
}
