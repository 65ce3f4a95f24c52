//! `token-host serve`: the HTTP service.

use std::{path::Path, time::Duration};

use clap::Args;
use token_host::{
    config::Listen,
    http::{self, Service},
};
use tokio::runtime::Builder;

#[cfg(unix)]
use super::service_manager::ServiceManager;
use super::{exit::Failure, host, log, output::Output};

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where to listen: an address with a port (0: a free one), unix:PATH, or systemd for the sockets that it opened;
    /// several times for several [default: `listen` in [http], or 127.0.0.1:8700]
    #[arg(short, long, value_name = "PLACE")]
    listen: Vec<Listen>,
}

/// How long a reload that is under way when the service stops may go on: as long as what it tries may take.
const LAST_RELOAD: Duration = Duration::from_secs(10);

impl Serve {
    /// Serves until the process is told to end; says where on stdout, a line for each place.
    pub(crate) fn run(self, config: &Path, output: &Output) -> Result<(), Failure> {
        // While there is one thread, and no plugin.
        #[cfg(unix)]
        http::take_systemd_sockets();
        // To the end of what is done here.
        let _traces = log::start_with_traces()?;
        let host = host(config, output)?;
        let failed = |error: std::io::Error| Failure::Plugin(format!("cannot serve: {error}"));
        let runtime = Builder::new_multi_thread().enable_all().build().map_err(failed)?;
        #[cfg(unix)]
        make_room();
        let listeners = http::listen(&host, &self.listen)?;
        let stop = runtime.block_on(async { told_to_end() }).map_err(failed)?;
        let watch = host.watch()?;
        #[cfg(unix)]
        reload_on_hangup(&runtime, &host).map_err(failed)?;
        for listener in &listeners {
            output.line(&format!("listening on {}", listener.place()))?;
        }
        #[cfg(unix)]
        ServiceManager::of_environment().ready();
        runtime.block_on(http::run(listeners, Service::new(host), stop));
        drop(watch);
        // Whatever has a part in the host lets go of it here, and its plugins stop.
        runtime.shutdown_timeout(LAST_RELOAD);
        Ok(())
    }
}

/// Has the process open as many files as it may: each connection is one, and shells start programs with 1024.
#[cfg(unix)]
fn make_room() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        // With fewer, accepting pauses until some are closed.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

/// Reloads when the process is told to, whatever has changed: also what no file shows, such as a certificate.
#[cfg(unix)]
fn reload_on_hangup(runtime: &tokio::runtime::Runtime, host: &token_host::Host) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangups = {
        let _inside = runtime.enter();
        signal(SignalKind::hangup())?
    };
    let host = host.clone();
    runtime.spawn(async move {
        let manager = ServiceManager::of_environment();
        while hangups.recv().await.is_some() {
            manager.reloading();
            let host = host.clone();
            // What became of it is logged and counted; the service goes on either way.
            let _ = tokio::task::spawn_blocking(move || host.reload()).await;
            manager.ready();
        }
    });
    Ok(())
}

/// Over when the process is told to end. Who is told twice ends at once, whatever it is doing.
#[cfg(unix)]
fn told_to_end() -> std::io::Result<impl Future<Output = ()>> {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use signal_hook::{
        consts::{SIGINT, SIGTERM},
        flag,
    };
    use tokio::signal::unix::{SignalKind, signal};

    let was_told = Arc::new(AtomicBool::new(false));
    for number in [SIGINT, SIGTERM] {
        flag::register_conditional_default(number, Arc::clone(&was_told))?;
    }
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        was_told.store(true, Ordering::SeqCst);
        ServiceManager::of_environment().stopping();
    })
}

#[cfg(not(unix))]
fn told_to_end() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a way to be told it goes on.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
