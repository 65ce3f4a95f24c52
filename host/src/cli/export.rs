//! `token-host export`: what a handler knows of its tokens, one JSON object a line.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;
use tempfile::NamedTempFile;
use token_host::TokenFilter;

use super::{
    exit::Failure,
    filter::Listed,
    keeper::{Handler, Keeper},
    now,
    output::{Output, answers, json_text, unless_unread},
    pages::Pages,
};

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Export {
    #[command(flatten)]
    listed: Listed,

    /// The file to be written, for its owner alone to read [default: stdout]. It is there when it is whole
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace the file if there is one
    #[arg(long, requires = "output")]
    force: bool,

    #[command(flatten)]
    handler: Handler,
}

impl Export {
    /// Writes a line for each token, page by page. The tokens themselves are kept nowhere, and not among it.
    pub(crate) fn run(self, config: &Path, output: &Output) -> Result<(), Failure> {
        let target = self.output.map(|path| Target::new(path, self.force)).transpose()?;
        let keeper = self.handler.open(config, output)?;
        let filter = self.listed.filter(now());
        let Some(target) = target else {
            let write = |writer: &mut dyn Write, line: &str| unless_unread(writeln!(writer, "{line}"));
            let mut writer = BufWriter::new(answers());
            lines(&keeper, filter, |line| write(&mut writer, line))?;
            return unless_unread(writer.flush());
        };
        let mut writer = BufWriter::new(target.file()?);
        let count = lines(&keeper, filter, |line| writeln!(writer, "{line}").map_err(|error| target.failed(&error)))?;
        let file = writer.into_inner().map_err(|error| target.failed(error.error()))?;
        target.keep(file)?;
        if output.is_json() {
            return output.json(&json!({ "file": target.path.display().to_string(), "count": count }));
        }
        output.line(&format!("{}: {count} tokens", target.path.display()))
    }
}

/// Hands on a line for each token; how many there were.
fn lines(
    keeper: &Keeper,
    mut filter: TokenFilter,
    mut write: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    // The more at once the less is asked; handlers have limits of their own.
    const PAGE_TOKENS: u32 = 1_000;
    filter.limit = Some(PAGE_TOKENS);
    let pages = Pages::new(None, |after| {
        filter.after = after;
        let page = keeper.list(&filter)?;
        Ok((page.tokens, page.next))
    });
    let mut count = 0;
    for page in pages {
        for token in page? {
            let line = json_text(&token);
            write(&line.map_err(|error| Failure::Plugin(format!("a token cannot be written: {error}")))?)?;
            count += 1;
        }
    }
    Ok(count)
}

/// The file that is to be there in the end.
struct Target {
    path: PathBuf,
    force: bool,
}

impl Target {
    /// Refused at once when it could not be kept in the end.
    fn new(path: PathBuf, force: bool) -> Result<Self, Failure> {
        let refused = |why: &str| Err(Failure::Arguments(format!("cannot write {}: {why}", path.display())));
        match fs::symlink_metadata(&path) {
            Ok(_) if !force => refused("there is something of that name, expected --force to replace it"),
            // A device would be replaced by a file.
            Ok(there) if !there.is_file() => refused("what is there is no file"),
            _ => Ok(Self { path, force }),
        }
    }

    /// Under another name in the same folder, gone if it is not kept; nobody but its owner can read it.
    fn file(&self) -> Result<NamedTempFile, Failure> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        NamedTempFile::new_in(folder).map_err(|error| self.failed(&error))
    }

    fn keep(&self, file: NamedTempFile) -> Result<(), Failure> {
        file.as_file().sync_all().map_err(|error| self.failed(&error))?;
        let kept = if self.force { file.persist(&self.path) } else { file.persist_noclobber(&self.path) };
        kept.map(drop::<File>).map_err(|error| self.failed(&error.error))
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::Arguments(format!("cannot write {}: {error}", self.path.display()))
    }
}
