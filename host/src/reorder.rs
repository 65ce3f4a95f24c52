//! [`Host::plan_order`], [`Host::set_order`]: the order of the `[[plugin]]` entries, changed in `plugins.toml` itself.

mod replace;

use std::{
    path::{Path, PathBuf},
    sync::PoisonError,
};

use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use self::replace::{LOCK_PATIENCE, NotReplaced, replace};
use crate::{
    admit::hexadecimal,
    builder::Source,
    config::{
        self, Config, EntryPlace, Finding, MakeSecrets, Origin,
        edit::{self, CannotReorder},
        lock_file,
    },
    error::{Error, ErrorKind},
    host::Host,
    outline::{self, Outline, Plan},
    reload::Reload,
};

/// What an order of the entries would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[non_exhaustive]
pub struct OrderPlan {
    /// The order before and after, and the differences.
    #[serde(flatten)]
    pub plan: Plan,
    /// The SHA-256 of the configuration's text as it is, in hex: whoever sets the order names it.
    pub text_sha256: String,
}

impl Host {
    /// The `[[plugin]]` entries of the configuration's file as they are written now, in the order of the file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when the configuration is no file or its entries are not understood;
    /// [`ErrorKind::Config`] when it cannot be read.
    pub fn entries(&self) -> Result<Vec<EntryPlace>, Error> {
        let file = ConfigFile::of(self)?;
        file.on_deep_stack(|| edit::entries(&file.text))
    }

    /// What this order of the `[[plugin]]` entries, each of them once, would change in the running host. Files are
    /// examined, nothing of them is loaded, and nothing is written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] when the order does not name each entry once; [`ErrorKind::Conflict`] when the
    /// configuration is no file or its entries cannot be moved; else as [`HostBuilder::outline`](crate::HostBuilder::outline).
    pub fn plan_order(&self, order: &[EntryPlace]) -> Result<OrderPlan, Error> {
        let file = ConfigFile::of(self)?;
        let after = file.outline_of(&file.edited(order)?, self)?;
        let plan = Plan::between(Outline::of_registry(&self.0.registry.load()), after);
        Ok(OrderPlan { plan, text_sha256: file.sha256() })
    }

    /// Writes this order of the `[[plugin]]` entries, each of them once, into the configuration's file and reloads. What
    /// people wrote beside it stays: see [`EntryPlace`]. The file is replaced at once, with its mode and its owner; what a
    /// link leads to is replaced, and not the link. When the reload is refused, the old text is written back.
    ///
    /// The text is compared once more right before the file is replaced, under an advisory lock of its folder, where the
    /// system has one: of several hosts that write at the same time, one does.
    ///
    /// # Errors
    ///
    /// As [`Host::plan_order`] and [`Host::reload`]; [`ErrorKind::Conflict`] also when the file's text has not this
    /// SHA-256, since somebody has changed it meanwhile, or when it cannot be written.
    pub fn set_order(&self, order: &[EntryPlace], text_sha256: &str) -> Result<Reload, Error> {
        // A watch must not reload between the writing and the reload that tells what it changed.
        let _one_at_a_time = self.0.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let file = ConfigFile::of(self)?;
        if file.sha256() != text_sha256 {
            return Err(NotReplaced::Changed.into());
        }
        let edited = file.edited(order)?;
        if *edited == *file.text {
            return self.reload_alone();
        }
        file.outline_of(&edited, self)?;
        replace(&file.path, &file.text, &edited, LOCK_PATIENCE)?;
        tracing::info!(target: "reload", "the order of the plugins was written into {}", file.path.display());
        self.reload_alone().map_err(|refused| file.put_back(&edited, refused))
    }
}

/// The configuration's file as it is now.
struct ConfigFile {
    path: PathBuf,
    text: Zeroizing<String>,
}

impl ConfigFile {
    fn of(host: &Host) -> Result<Self, Error> {
        let Source::File(path) = &host.0.source else { return Err(conflict("the configuration is no file")) };
        Ok(Self { path: path.clone(), text: config::text_of(path)? })
    }

    fn origin(&self) -> Origin {
        Origin::File(self.path.clone())
    }

    fn sha256(&self) -> String {
        hexadecimal(&Sha256::digest(self.text.as_bytes()).into())
    }

    fn on_deep_stack<T: Send>(&self, read: impl FnOnce() -> Result<T, CannotReorder> + Send) -> Result<T, Error> {
        config::on_deep_stack(&self.origin(), read)?.map_err(|cannot| match cannot {
            CannotReorder::Order(problem) => Error::new(ErrorKind::InvalidArgument, problem),
            CannotReorder::Text(problem) => conflict(format!("the configuration cannot be reordered: {problem}")),
        })
    }

    fn edited(&self, order: &[EntryPlace]) -> Result<Zeroizing<String>, Error> {
        self.on_deep_stack(|| edit::reorder(&self.text, order).map(Zeroizing::new))
    }

    /// What the host would register with this text in the file.
    fn outline_of(&self, text: &str, host: &Host) -> Result<Outline, Error> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let mut config = Config::parse(text, self.origin(), folder, MakeSecrets::Ephemeral)?;
        config.lock = lock_file::read(&self.path)?;
        outline::of_config(&config, &host.0.statics)
    }

    /// Writes the text of before, unless somebody has changed the file again. Gives why it was to be done, and what went
    /// wrong.
    fn put_back(&self, edited: &str, refused: Error) -> Error {
        let Err(not) = replace(&self.path, edited, &self.text, LOCK_PATIENCE) else { return refused };
        let problem = format!("the order of before could not be written back: {not}");
        tracing::error!(target: "reload", "{}: {problem}", self.path.display());
        let mut findings = refused.findings().to_vec();
        findings.push(Finding::error(&self.origin(), problem));
        Error::from_findings(ErrorKind::Config, findings)
    }
}

impl From<NotReplaced> for Error {
    fn from(not: NotReplaced) -> Self {
        conflict(not.to_string())
    }
}

fn conflict(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Conflict, message)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_changed_again_is_not_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plugins.toml");
        fs::write(&path, "# Somebody's.\n").unwrap();
        let file = ConfigFile { path: path.clone(), text: "# Old.\n".to_owned().into() };
        let refused = || Error::new(ErrorKind::Config, "refused");
        let told = file.put_back("# Edited.\n", refused());
        assert!(format!("{:?}", told.findings()).contains("the configuration has been changed meanwhile"), "{told}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "# Somebody's.\n");
        assert!(file.put_back("# Somebody's.\n", refused()).findings().is_empty());
        assert_eq!(fs::read_to_string(&path).unwrap(), "# Old.\n");
    }
}
