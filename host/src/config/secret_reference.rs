//! The strings that `{ env = "NAME" }` and `{ file = "path" }` stand for in a plugin's settings.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::report::Report;
use super::secret_file::{self, Problem};
use super::{MakeSecrets, Place};

/// Reads what references name. It is the one place of the configuration that looks at the environment, and the one
/// that may write a file.
pub(super) struct Secrets<'a> {
    base: &'a Path,
    make: MakeSecrets,
    /// Reads an environment variable; a parameter because tests cannot change the process's own safely.
    variable: fn(&str) -> Option<OsString>,
    /// What stands in for files that do not exist yet, so that two references to one file agree in a trial run.
    made_up: HashMap<PathBuf, Zeroizing<String>>,
}

/// What a table turned out to be.
pub(super) enum Reference {
    /// An ordinary table of the plugin's settings.
    None,
    /// A reference, and the string that it names.
    Secret(Zeroizing<String>),
    /// A reference that names nothing usable; this is reported.
    Refused,
}

impl<'a> Secrets<'a> {
    /// Paths in references are relative to `base`; `make` says what becomes of `generate = true`.
    pub(super) fn new(base: &'a Path, make: MakeSecrets) -> Self {
        Self { base, make, variable: |name| std::env::var_os(name), made_up: HashMap::new() }
    }

    /// The string that `table` stands for, when it is a reference: exactly `env`, or `file`, or `file` and `generate`.
    /// `key` names the setting in messages.
    pub(super) fn read(&mut self, key: &str, place: Place, table: &DeTable<'_>, report: &mut Report<'_>) -> Reference {
        let value = |name: &str| table.get(name).map(|value| value.get_ref());
        let found = match (table.len(), value("env"), value("file"), value("generate")) {
            (1, Some(DeValue::String(name)), _, _) => self.variable_value(name),
            (1, Some(_), _, _) => Err("`env` must be a string, the name of an environment variable".to_owned()),
            (1, _, Some(DeValue::String(path)), _) => self.file_value(path, false, place, report),
            (2, _, Some(DeValue::String(path)), Some(DeValue::Boolean(generate))) => {
                self.file_value(path, *generate, place, report)
            }
            (2, _, Some(DeValue::String(_)), Some(_)) => Err("`generate` must be true or false".to_owned()),
            (1, _, Some(_), _) | (2, _, Some(_), Some(_)) => Err("`file` must be a string, a path".to_owned()),
            _ => return Reference::None,
        };
        found.map_or_else(
            |problem| {
                report.error(place, format!("`{}`: {problem}", key.escape_debug()));
                Reference::Refused
            },
            Reference::Secret,
        )
    }

    fn variable_value(&self, name: &str) -> Result<Zeroizing<String>, String> {
        let expected = |problem: &str| format!("the environment variable `{}` {problem}", name.escape_debug());
        if name.is_empty() {
            return Err("`env` must name an environment variable".to_owned());
        }
        let value = (self.variable)(name).ok_or_else(|| expected("is not set"))?;
        let value = value.into_string().map_err(|_| expected("must be UTF-8"))?;
        if value.is_empty() {
            return Err(expected("is empty"));
        }
        Ok(Zeroizing::new(value))
    }

    fn file_value(
        &mut self,
        path: &str,
        generate: bool,
        place: Place,
        report: &mut Report<'_>,
    ) -> Result<Zeroizing<String>, String> {
        if path.is_empty() {
            return Err("`file` must be a path".to_owned());
        }
        let path = self.base.join(path);
        let shown = path.display();
        let mut read = || {
            let found = if generate { secret_file::read_perhaps_new(&path) } else { secret_file::read(&path) };
            if let Ok(secret_file::Content { open_to_others: Some(mode), .. }) = &found {
                let problem = format!("is open to others (mode {mode:o}), expected mode 600");
                report.warning(place, format!("the secret file {shown} {problem}"));
            }
            found.map(|content| content.secret)
        };
        let unusable = |problem: Problem| format!("the secret file {shown} cannot be used: {problem}");
        match read() {
            Err(problem) if generate && problem.is_missing() => {}
            found => return found.map_err(unusable),
        }
        match self.make {
            MakeSecrets::Create => match secret_file::create(&path) {
                Ok(secret) => {
                    report.notice(place, format!("made a new secret in {shown}"));
                    Ok(secret)
                }
                // Another process was faster; its secret is the one.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read().map_err(unusable),
                Err(error) => Err(format!("cannot make the secret file {shown}: {error}")),
            },
            MakeSecrets::Ephemeral => {
                if let Some(secret) = self.made_up.get(&path) {
                    return Ok(secret.clone());
                }
                let secret = secret_file::random().map_err(|error| format!("cannot make a secret: {error}"))?;
                report.notice(place, format!("{shown} does not exist: a new secret is made in it at the first start"));
                self.made_up.insert(path, secret.clone());
                Ok(secret)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{Finding, Origin};
    use super::*;

    /// Reads the reference `text` against `base`: the secret, `None` for no reference, and all that was found.
    fn read(text: &str, base: &Path, make: MakeSecrets) -> (Option<String>, Vec<String>) {
        let mut secrets = Secrets::new(base, make);
        secrets.variable = |name| match name {
            "SECRET" => Some("from-variable".into()),
            "EMPTY" => Some("".into()),
            #[cfg(unix)]
            "LATIN1" => Some(std::os::unix::ffi::OsStringExt::from_vec(vec![0xE9])),
            _ => None,
        };
        read_with(&mut secrets, text)
    }

    fn read_with(secrets: &mut Secrets<'_>, text: &str) -> (Option<String>, Vec<String>) {
        let table = DeTable::parse(text).unwrap();
        let mut report = Report::new(&Origin::Text, text);
        let reference = secrets.read("keys[0]", Place { line: 3, column: 2 }, table.get_ref(), &mut report);
        let secret = match reference {
            Reference::Secret(secret) => Some(secret.to_string()),
            Reference::None | Reference::Refused => None,
        };
        let found = report.finish().unwrap_or_else(|findings| findings.0);
        (secret, found.iter().map(Finding::to_string).collect())
    }

    fn refused(text: &str, base: &Path) -> String {
        let (secret, found) = read(text, base, MakeSecrets::Ephemeral);
        assert_eq!((secret, found.len()), (None, 1), "{found:?}");
        found[0].strip_prefix("<string>:3:2: `keys[0]`: ").unwrap().to_owned()
    }

    #[test]
    fn a_variable_must_be_there_and_say_something() {
        let here = Path::new("");
        let found = read("env = 'SECRET'", here, MakeSecrets::Create);
        assert_eq!(found, (Some("from-variable".to_owned()), Vec::new()));
        assert_eq!(refused("env = 'MISSING'", here), "the environment variable `MISSING` is not set");
        assert_eq!(refused("env = 'EMPTY'", here), "the environment variable `EMPTY` is empty");
        #[cfg(unix)]
        assert_eq!(refused("env = 'LATIN1'", here), "the environment variable `LATIN1` must be UTF-8");
        assert_eq!(refused("env = ''", here), "`env` must name an environment variable");
        assert_eq!(refused("env = 1", here), "`env` must be a string, the name of an environment variable");
        assert_eq!(refused("file = 1", here), "`file` must be a string, a path");
        assert_eq!(refused("file = 'x'\ngenerate = 1", here), "`generate` must be true or false");
    }

    #[test]
    fn other_tables_are_no_references() {
        for text in
            ["", "env = 'SECRET'\nfile = 'x'", "env = 'SECRET'\nlimit = 1", "generate = true", "other = 'SECRET'"]
        {
            assert_eq!(read(text, Path::new(""), MakeSecrets::Create), (None, Vec::new()), "{text}");
        }
    }

    #[test]
    fn a_missing_file_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let reference = "file = 'secret'\ngenerate = true";
        let (first, found) = read(reference, folder.path(), MakeSecrets::Create);
        assert_eq!(found, [format!("<string>:3:2: notice: made a new secret in {}", path.display())]);
        let first = first.unwrap();
        assert!(first.len() == 64 && first.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{first}\n"));
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777, 0o600);
        assert_eq!(read(reference, folder.path(), MakeSecrets::Create), (Some(first.clone()), Vec::new()));

        let unmade = refused("file = 'no/folder'\ngenerate = false", folder.path());
        assert!(unmade.ends_with("cannot be used: there is no such file"), "{unmade}");
        let (_, failed) = read("file = 'no/folder'\ngenerate = true", folder.path(), MakeSecrets::Create);
        assert!(failed[0].contains("cannot make the secret file"), "{failed:?}");
    }

    #[test]
    fn a_trial_run_makes_a_secret_up_and_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let reference = "file = 'secret'\ngenerate = true";
        let mut secrets = Secrets::new(folder.path(), MakeSecrets::Ephemeral);
        let (first, found) = read_with(&mut secrets, reference);
        assert!(
            found[0].ends_with("secret does not exist: a new secret is made in it at the first start"),
            "{found:?}"
        );
        assert_eq!(read_with(&mut secrets, reference), (first, Vec::new()), "the same file is the same secret");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn hosts_that_start_together_share_one_secret() {
        let folder = tempfile::tempdir().unwrap();
        let reference = "file = 'secret'\ngenerate = true";
        let start = || read(reference, folder.path(), MakeSecrets::Create).0.unwrap();
        let secrets: Vec<String> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(secrets.iter().all(|secret| *secret == secrets[0]));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "hunter2\n").unwrap();
        let read_with_mode = |mode| {
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
            read("file = 'secret'", folder.path(), MakeSecrets::Create)
        };
        let warning = format!(
            "<string>:3:2: warning: the secret file {} is open to others (mode 640), expected mode 600",
            path.display()
        );
        assert_eq!(read_with_mode(0o640), (Some("hunter2".to_owned()), vec![warning]));
        assert_eq!(read_with_mode(0o600), (Some("hunter2".to_owned()), Vec::new()));
    }
}
