//! What the service is held against: fixed answers, and what people would put in its place.

use std::{
    env, fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tempfile::TempDir;

use super::{
    FIXED_SERVER,
    process::{Process, free_port, pinned},
    service::{JWT_SECRET, answered},
    wrk::Contestant,
};
use crate::{libraries::folder, sampler::Effort, table};

/// The name of nginx with a fixed answer.
pub(crate) const NGINX: &str = "nginx, 204 to everything";

/// axum and hyper with a fixed answer: this program, as a server.
pub(crate) struct Fixed {
    process: Process,
    url: String,
}

impl Fixed {
    pub(crate) const NAME: &str = "axum and hyper, 204 to everything";

    pub(crate) const WITH_HEADERS: &str = "axum and hyper, the headers of /auth to everything";

    pub(crate) fn start() -> Self {
        let program = env::current_exe().unwrap();
        let (process, url) = Process::start_telling(&mut pinned(&[program.to_str().unwrap(), FIXED_SERVER]));
        Self { process, url }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Opens so many connections, each of which gets an answer.
    pub(crate) fn connections(&self, count: usize) -> Vec<TcpStream> {
        (0..count).map(|_| answered(&self.url, "/identity", "none").unwrap()).collect()
    }

    pub(crate) fn contestant(&self) -> Contestant {
        Contestant { name: Self::NAME.to_owned(), url: format!("{}/auth", self.url), authorization: None }
    }

    /// The same with as many headers as `/auth` answers.
    pub(crate) fn with_headers(&self) -> Contestant {
        Contestant { name: Self::WITH_HEADERS.to_owned(), url: format!("{}/identity", self.url), authorization: None }
    }
}

/// Another server.
pub(crate) struct Other {
    _process: Process,
    _folder: TempDir,
    contestant: Contestant,
}

impl Other {
    pub(crate) fn contestant(&self) -> Contestant {
        self.contestant.clone()
    }
}

/// Those that can be had on this machine.
pub(crate) fn others(effort: Effort) -> Vec<Other> {
    let mut all: Vec<(&str, &str, Start)> = vec![(NGINX, "Debian package nginx", nginx)];
    // They come from PyPI, or want modules: for figures alone.
    if effort == Effort::Full {
        all.push(("nginx with njs checking the JWT", "Debian package libnginx-mod-http-js", njs));
        all.push((
            "Apache with mod_auth_openidc checking the JWT",
            "Debian package libapache2-mod-auth-openidc",
            apache,
        ));
        all.push(("Datasette 1.0a41, /-/actor.json", "python3 with venv, and PyPI", datasette));
        all.push(("Flask-JWT-Extended under gunicorn", "python3 with venv, and PyPI", flask));
    }
    let start = |(name, wants, start): (&'static str, &str, Start)| {
        let other = start(name);
        if other.is_none() {
            table::note(&format!("{name}: skipped, it wants the {wants}"));
        }
        other
    };
    all.into_iter().filter_map(start).collect()
}

type Start = fn(&str) -> Option<Other>;

fn other(
    name: &str,
    folder: TempDir,
    command: &[&str],
    port: u16,
    path: &str,
    authorization: Option<String>,
) -> Option<Other> {
    let process = Process::start(command, port)?;
    let url = format!("http://127.0.0.1:{port}{path}");
    Some(Other {
        _process: process,
        _folder: folder,
        contestant: Contestant { name: name.to_owned(), url, authorization },
    })
}

fn nginx(name: &str) -> Option<Other> {
    nginx_with(name, "", "return 204;", None)
}

fn njs(name: &str) -> Option<Other> {
    let module = Path::new("/usr/lib/nginx/modules/ngx_http_js_module.so");
    let load = format!("load_module {};\n", module.display());
    let folder = folder_for_nginx();
    fs::write(folder.path().join("jwt.js"), NJS.replace("{secret}", JWT_SECRET)).unwrap();
    module.is_file().then(|| nginx_in(folder, name, &load, "js_content jwt.check;", Some(jwt())))?
}

/// As short as a check can be that is one: signature, and expiry.
const NJS: &str = "import crypto from 'crypto';
function check(r) {
    let parts = (r.headersIn.Authorization || '').slice(7).split('.');
    let signature = crypto.createHmac('sha256', '{secret}').update(parts[0] + '.' + parts[1]).digest('base64url');
    let claims = JSON.parse(Buffer.from(parts[1], 'base64url').toString());
    r.return(signature === parts[2] && claims.exp > Date.now() / 1000 ? 204 : 401);
}
export default {check};
";

fn nginx_with(name: &str, before: &str, content: &str, authorization: Option<String>) -> Option<Other> {
    nginx_in(folder_for_nginx(), name, before, content, authorization)
}

fn folder_for_nginx() -> TempDir {
    tempfile::Builder::new().prefix("bench-").tempdir_in(folder()).unwrap()
}

fn nginx_in(folder: TempDir, name: &str, before: &str, content: &str, authorization: Option<String>) -> Option<Other> {
    let (port, path) = (free_port(), folder.path().display().to_string());
    let import = if before.is_empty() { String::new() } else { format!("js_import jwt from {path}/jwt.js;") };
    let text = format!(
        "{before}worker_processes 1; daemon off; pid {path}/pid; error_log {path}/error.log;\nevents {{}}\nhttp {{\n\
         access_log off; keepalive_requests 1000000000; {import}\nclient_body_temp_path {path}/a; proxy_temp_path {path}/b;\n\
         fastcgi_temp_path {path}/c; uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;\n\
         server {{ listen 127.0.0.1:{port}; location / {{ {content} }} }} }}\n"
    );
    let config = folder.path().join("nginx.conf");
    fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap().to_owned();
    other(name, folder, &["nginx", "-p", &path, "-c", &config], port, "/", authorization)
}

fn apache(name: &str) -> Option<Other> {
    let modules = Path::new("/usr/lib/apache2/modules");
    if !modules.join("mod_auth_openidc.so").is_file() {
        return None;
    }
    let folder = folder_for_nginx();
    let (port, path) = (free_port(), folder.path().display().to_string());
    fs::create_dir(folder.path().join("www")).unwrap();
    fs::write(folder.path().join("www/index.html"), "").unwrap();
    let load = |name: &str| format!("LoadModule {name}_module {}/mod_{name}.so\n", modules.display());
    let loads: String =
        ["mpm_event", "authn_core", "authz_core", "authz_user", "auth_openidc", "dir"].map(load).concat();
    let text = format!(
        "{loads}Listen 127.0.0.1:{port}\nServerName localhost\nPidFile {path}/pid\nErrorLog {path}/error.log\n\
         ServerRoot {path}\nDocumentRoot {path}/www\nMaxKeepAliveRequests 0\nKeepAliveTimeout 60\nUser nobody\nGroup nogroup\n\
         OIDCCryptoPassphrase bench\nOIDCOAuthVerifySharedKeys plain##{JWT_SECRET}\nOIDCOAuthRemoteUserClaim sub\n\
         <Location />\nAuthType oauth20\nRequire valid-user\n</Location>\n"
    );
    // Its children are another user's.
    Command::new("chmod").args(["-R", "a+rX", &path]).status().ok()?;
    let config = folder.path().join("apache.conf");
    fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap().to_owned();
    other(name, folder, &["apache2", "-X", "-f", &config], port, "/", Some(jwt()))
}

fn datasette(name: &str) -> Option<Other> {
    let bin = python(&["datasette==1.0a41"])?;
    let (folder, port) = (folder_for_nginx(), free_port());
    let secret = "a fixed secret for benches";
    let datasette = bin.join("datasette").to_str()?.to_owned();
    let created = Command::new(&datasette).args(["create-token", "ann", "--secret", secret]).output().ok()?;
    let token = String::from_utf8(created.stdout).ok()?.trim().to_owned();
    let port_text = port.to_string();
    let command = [datasette.as_str(), "serve", "--memory", "--port", &port_text, "--secret", secret];
    other(name, folder, &command, port, "/-/actor.json", Some(format!("Bearer {token}")))
}

fn flask(name: &str) -> Option<Other> {
    let bin = python(&["flask==3.1.3", "flask-jwt-extended==4.7.4", "gunicorn"])?;
    let (folder, port) = (folder_for_nginx(), free_port());
    fs::write(folder.path().join("app.py"), FLASK.replace("{secret}", JWT_SECRET)).unwrap();
    let (gunicorn, place) = (bin.join("gunicorn").to_str()?.to_owned(), folder.path().to_str()?.to_owned());
    let bind = format!("127.0.0.1:{port}");
    let command = [
        gunicorn.as_str(),
        "--chdir",
        &place,
        "-w",
        "1",
        "-k",
        "gthread",
        "--threads",
        "4",
        "--keep-alive",
        "60",
        "-b",
        &bind,
        "app:app",
    ];
    other(name, folder, &command, port, "/", Some(jwt()))
}

const FLASK: &str = "from flask import Flask
from flask_jwt_extended import JWTManager, jwt_required
app = Flask(__name__)
app.config['JWT_SECRET_KEY'] = '{secret}'
JWTManager(app)
@app.route('/')
@jwt_required()
def check():
    return '', 204
";

/// A Python with these packages, made when it is not there. Where its programs are.
fn python(packages: &[&str]) -> Option<PathBuf> {
    let name = packages[0].split('=').next().unwrap_or_default();
    let place = folder().join(format!("bench-venv-{name}"));
    let bin = place.join("bin");
    if !bin.join("ready").is_file() {
        let quiet = |command: &mut Command| {
            command.stdout(Stdio::null()).stderr(Stdio::null()).status().ok().filter(|status| status.success())
        };
        quiet(Command::new("python3").args(["-m", "venv"]).arg(&place))?;
        quiet(Command::new(bin.join("pip")).args(["install", "--quiet"]).args(packages))?;
        fs::write(bin.join("ready"), "").ok()?;
    }
    Some(bin)
}

/// The token for all who check JSON Web Tokens: one of Flask-JWT-Extended's, with an hour to live.
fn jwt() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let claims = format!(
        r#"{{"fresh":false,"iat":{now},"jti":"6d3f5c1e","type":"access","sub":"ann","nbf":{now},"exp":{}}}"#,
        now + 3600 * 4
    );
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(JWT_SECRET.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}
