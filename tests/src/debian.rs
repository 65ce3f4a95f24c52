//! Programs of Debian packages, installed on first use where that is allowed.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Mutex, PoisonError},
};

use crate::Skip;

/// The program in a Debian package, wherever the package puts it.
///
/// # Errors
///
/// When the package is not there and cannot be installed: then it says what to install.
pub fn debian_program(package: &str, program: &str) -> Result<PathBuf, Skip> {
    let is_for_programs = |folder: &Path| folder.ends_with("bin") || folder.ends_with("sbin");
    debian_file(package, program, is_for_programs)
}

/// The file of this name in a Debian package, in a folder such as this.
///
/// # Errors
///
/// As [`debian_program`].
pub(crate) fn debian_file(package: &str, name: &str, is_in: impl Fn(&Path) -> bool) -> Result<PathBuf, Skip> {
    if !cfg!(target_os = "linux") {
        return Err(Skip(format!("{name} is looked for in a Debian package")));
    }
    // Tests run side by side, installations do not.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    file_of(package, name, &is_in).or_else(|_| {
        let advice = |Skip(why)| Skip(format!("install the Debian package {package} ({why})"));
        let patience = "DPkg::Lock::Timeout=300";
        attempt(Command::new("apt-get").args(["-o", patience, "update"])).map_err(advice)?;
        let install = ["-o", patience, "install", "-y", "--no-install-recommends", package];
        attempt(Command::new("apt-get").args(install)).map_err(advice)?;
        file_of(package, name, &is_in).map_err(advice)
    })
}

fn file_of(package: &str, name: &str, is_in: impl Fn(&Path) -> bool) -> Result<PathBuf, Skip> {
    let listed = attempt(Command::new("dpkg").args(["-L", package]))?;
    let files = String::from_utf8_lossy(&listed.stdout).into_owned();
    let file = files
        .lines()
        .map(PathBuf::from)
        .find(|file| file.parent().is_some_and(&is_in) && file.file_name().is_some_and(|file| file == name));
    file.ok_or_else(|| Skip(format!("{package} has no {name}")))
}

fn attempt(command: &mut Command) -> Result<Output, Skip> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.env("DEBIAN_FRONTEND", "noninteractive").output();
    let output = output.map_err(|error| Skip(format!("{program} cannot be run: {error}")))?;
    if output.status.success() {
        return Ok(output);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(Skip(format!("{program} failed: {}", stderr.trim_end().lines().last().unwrap_or_default())))
}
