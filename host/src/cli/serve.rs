//! `token-host serve`: the HTTP service.

use std::path::Path;

use clap::Args;
use token_host::{
    config::Listen,
    http::{self, Service},
};

use super::{exit::Failure, host, output::Output};

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where to listen: an address with a port (0: a free one), unix:PATH, or systemd for the sockets that it opened;
    /// several times for several [default: `listen` in [http], or 127.0.0.1:8700]
    #[arg(short, long, value_name = "PLACE")]
    listen: Vec<Listen>,
}

impl Serve {
    /// Serves until the process is told to end; says where on stdout, a line for each place.
    pub(crate) fn run(self, config: &Path, output: &Output) -> Result<(), Failure> {
        let host = host(config, output)?;
        let failed = |error: &dyn std::fmt::Display| Failure::Plugin(format!("cannot serve: {error}"));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(&error))?;
        let watch = host.watch()?;
        #[cfg(unix)]
        let watch = watch.reload_on_hangup()?;
        let listeners = http::listen(&host, &self.listen).map_err(|error| failed(&error))?;
        let stop = runtime.block_on(async { told_to_end() }).map_err(|error| failed(&error))?;
        for listener in &listeners {
            output.line(&format!("listening on {}", listener.place()))?;
        }
        runtime.block_on(http::run(listeners, Service::new(host), stop));
        drop(watch);
        Ok(())
    }
}

/// Over when the process is told to end. Who is told twice ends at once.
#[cfg(unix)]
fn told_to_end() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
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
